import contextlib
import gzip
import json
import logging
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from automcu.planner.language_model import LanguageModel
from automcu.planner.records import CriticAnswer, CriticView, HistorySummary, ModelSettings

KEY = "sk-verysecretkey0123456789"
GOOD = '{"more": ["nor_conv_3x3"], "fewer": [], "skeleton": 2, "stop": false}'
VIEW = CriticView(history=HistorySummary(trained=0, best=()), budget_left=3)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOMCU_LLM_KEY", KEY)


def _model(url: str, folder: Path, **settings: Any) -> LanguageModel:
    return LanguageModel(
        ModelSettings(model="test", base_url=url, **{"timeout_s": 5.0, **settings}), folder
    )


def _ask(model: LanguageModel) -> CriticAnswer | None:
    return model.ask("critic", "Be brief.", VIEW, CriticAnswer)


def test_a_good_answer_is_the_record_that_was_asked_for(
    serve: Any, reply: Callable[..., None], tmp_path: Path
) -> None:
    server = serve(lambda handler, body, count: reply(handler, GOOD))
    model = _model(server.url, tmp_path)
    assert _ask(model) == CriticAnswer(more=("nor_conv_3x3",), skeleton=2)
    wanted = server.requests[0]["response_format"]
    assert wanted["type"] == "json_schema" and "fewer" in str(wanted)
    assert model.usage["critic"].input_tokens == 100
    assert server.keys == [f"Bearer {KEY}"]


def test_a_server_that_only_knows_json_mode_is_asked_in_json_mode_from_then_on(
    serve: Any, reply: Callable[..., None], tmp_path: Path
) -> None:
    def script(handler: Any, body: dict[str, Any], count: int) -> None:
        strict = body.get("response_format", {}).get("type") == "json_schema"
        reply(
            handler,
            "unknown format" if strict else f"Here it is:\n```{GOOD}```",
            400 if strict else 200,
        )

    server = serve(script)
    model = _model(server.url, tmp_path)
    assert _ask(model) and _ask(model)
    kinds = [request["response_format"]["type"] for request in server.requests]
    assert kinds == ["json_schema", "json_schema", "json_object", "json_object"]
    strict = [
        request["response_format"]["json_schema"].get("strict") for request in server.requests[:2]
    ]
    assert strict == [True, None]
    assert "schema" in server.requests[2]["messages"][0]["content"]


@pytest.mark.parametrize(
    "bad",
    [
        "no JSON at all",
        '{"more": ["/etc/passwd"]}',
        '{"more": [], "skeleton": 1e999}',
        '{"more": [], "tool": "rm -rf"}',
        '{"skeleton": 100000000000000000000}',
        "{" * 10_000,
        "",
    ],
)
def test_an_answer_that_is_none_is_sent_back_once_and_then_the_turn_is_lost(
    serve: Any, reply: Callable[..., None], tmp_path: Path, bad: str
) -> None:
    server = serve(lambda handler, body, count: reply(handler, bad))
    model = _model(server.url, tmp_path)
    assert _ask(model) is None
    assert len(server.requests) == 2
    assert "That is not what was asked for" in server.requests[1]["messages"][-1]["content"]
    assert model.problem == "the answer was no CriticAnswer"


def test_an_absurdly_long_answer_is_refused(
    serve: Any, reply: Callable[..., None], tmp_path: Path
) -> None:
    server = serve(lambda handler, body, count: reply(handler, "x" * 2_000_000))
    model = _model(server.url, tmp_path)
    assert _ask(model) is None
    assert (tmp_path / "critic.jsonl").stat().st_size < 10_000


def test_too_many_requests_are_waited_for(
    serve: Any, reply: Callable[..., None], tmp_path: Path
) -> None:
    def script(handler: Any, body: dict[str, Any], count: int) -> None:
        reply(handler, "slow down" if count < 3 else GOOD, 429 if count < 3 else 200)

    server = serve(script)
    assert _ask(_model(server.url, tmp_path))
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [401, 404, 429, 500])
def test_a_server_that_only_refuses_costs_the_turn(
    serve: Any, reply: Callable[..., None], tmp_path: Path, status: int
) -> None:
    server = serve(lambda handler, body, count: reply(handler, f"wrong key {KEY}", status))
    model = _model(server.url, tmp_path, attempts=1)
    assert _ask(model) is None
    assert model.problem == f"the server answered with status {status}: “wrong key [key]”"
    assert KEY not in (tmp_path / "critic.jsonl").read_text()


def test_a_slow_server_costs_its_time_out_and_no_more(
    serve: Any, reply: Callable[..., None], tmp_path: Path
) -> None:
    server = serve(lambda handler, body, count: time.sleep(3))
    started = time.monotonic()
    assert _ask(_model(server.url, tmp_path, timeout_s=0.3, attempts=1)) is None
    assert time.monotonic() - started < 2.5


def test_an_answer_that_is_cut_off_costs_the_turn(serve: Any, tmp_path: Path) -> None:
    def script(handler: Any, body: dict[str, Any], count: int) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", "5000")
        handler.end_headers()
        handler.wfile.write(b'{"id": "1", "choices": [{"mess')
        handler.close_connection = True

    assert _ask(_model(serve(script).url, tmp_path, attempts=1)) is None


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"choices": []}', b'{"choices": null}'])
def test_what_is_no_completion_costs_the_turn(serve: Any, tmp_path: Path, body: bytes) -> None:
    def script(handler: Any, request: dict[str, Any], count: int) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    assert _ask(_model(serve(script).url, tmp_path, attempts=1)) is None


USAGES: list[object] = [
    None,
    {},
    {"prompt_tokens": None, "completion_tokens": None},
    {"prompt_tokens": "many", "completion_tokens": [1]},
    {"prompt_tokens": -5, "completion_tokens": -1},
    {"prompt_tokens": 1e300, "completion_tokens": 10**400},
    {"prompt_tokens": True, "completion_tokens": {}},
    "none",
    [],
]


@pytest.mark.parametrize("usage", USAGES, ids=str)
def test_tokens_that_a_server_does_not_count_are_estimated_and_that_is_reported_once(
    serve: Any, complete: Callable[..., None], tmp_path: Path, usage: object
) -> None:
    server = serve(lambda handler, body, count: complete(handler, GOOD, usage=usage))
    model = _model(server.url, tmp_path, attempts=1)
    notices: list[str] = []
    model.notify = notices.append
    assert _ask(model) and _ask(model)
    used = model.usage["critic"]
    assert used.estimated == 2
    assert len(VIEW.model_dump_json()) < used.input_tokens < 10_000
    assert used.output_tokens == 2 * -(-len(GOOD) // 2)
    assert len(notices) == 1 and "estimated" in notices[0]
    assert '"tokens_estimated": true' in (tmp_path / "critic.jsonl").read_text()


def test_a_fraction_of_a_token_counts_as_a_credible_count(
    serve: Any, complete: Callable[..., None], tmp_path: Path
) -> None:
    usage = {"prompt_tokens": 90.0, "completion_tokens": 12.5}
    model = _model(
        serve(lambda handler, body, count: complete(handler, GOOD, usage=usage)).url, tmp_path
    )
    assert _ask(model)
    assert (model.usage["critic"].input_tokens, model.usage["critic"].estimated) == (90, 0)


def test_uncounted_tokens_end_the_asking_too(
    serve: Any, complete: Callable[..., None], tmp_path: Path
) -> None:
    server = serve(lambda handler, body, count: complete(handler, GOOD, usage=None))
    model = _model(server.url, tmp_path, max_cost=0.001, input_price=1.0, output_price=1.0)
    for _ in range(20):
        _ask(model)
    assert model.problem == "the budget for the language model is used up"
    assert len(server.requests) < 10


def test_a_prompt_that_was_read_in_vain_is_paid_for(serve: Any, tmp_path: Path) -> None:
    model = _model(
        serve(lambda handler, body, count: time.sleep(2)).url, tmp_path, timeout_s=0.3, attempts=1
    )
    assert _ask(model) is None
    assert model.usage["critic"].input_tokens > 100
    nobody = _model("http://127.0.0.1:9/v1", tmp_path, attempts=1)
    assert _ask(nobody) is None
    assert nobody.usage["critic"].input_tokens == 0


def test_of_tokens_nothing_is_reported_where_there_was_no_completion(
    serve: Any, raw: Callable[..., None], tmp_path: Path
) -> None:
    body = b'{"error": {"message": "model\\u001b[2J is loading", "type": "busy"}}'
    model = _model(serve(lambda h, request, count: raw(h, body)).url, tmp_path, attempts=1)
    notices: list[str] = []
    model.notify = notices.append
    assert _ask(model) is None
    assert model.problem == "the server sent no completion: “model\\x1b[2J is loading”"
    assert notices == []
    assert model.usage["critic"].estimated == 1


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": "model is loading"}',
        b'{"detail": "model is loading"}',
        b'{"message": "model is loading"}',
        b'{"error": {"message": "model is loading"}}',
    ],
)
def test_a_refusal_is_in_the_server_s_words_wherever_it_puts_them(
    serve: Any, raw: Callable[..., None], tmp_path: Path, body: bytes
) -> None:
    server = serve(lambda h, request, count: raw(h, body, status=503))
    model = _model(server.url, tmp_path, attempts=1)
    assert _ask(model) is None
    assert model.problem == "the server answered with status 503: “model is loading”"


def test_a_slow_server_is_named_by_its_time_out(serve: Any, tmp_path: Path) -> None:
    server = serve(lambda handler, body, count: time.sleep(2))
    model = _model(server.url, tmp_path, timeout_s=0.3, attempts=1)
    assert _ask(model) is None
    assert model.problem == "the server did not answer within 0.3 s"


def test_an_answer_in_parts_is_put_together(
    serve: Any, complete: Callable[..., None], tmp_path: Path
) -> None:
    parts = [{"type": "text", "text": GOOD[:20]}, {"type": "text", "text": GOOD[20:]}]
    model = _model(serve(lambda h, body, count: complete(h, parts)).url, tmp_path, attempts=1)
    assert _ask(model) == CriticAnswer(more=("nor_conv_3x3",), skeleton=2)


CHOICES: list[object] = [
    None,
    [],
    {},
    "none",
    [None],
    [{}],
    [{"message": None}],
    [{"message": {"role": "assistant", "content": None, "refusal": "I cannot."}}],
    [{"message": {"role": "assistant", "content": 7}}],
    [{"message": {"role": "assistant", "content": [{"type": "image"}]}}],
    [{"message": {"role": "assistant", "content": {"deep": 1}}}],
    [{"finish_reason": "length", "message": {"role": "assistant", "content": GOOD[:30]}}],
    [{"message": {"role": "assistant", "content": '{"more": ["\ud800"]}'}}],
    [{"message": {"role": "assistant", "content": "\ud800\udfff\x00\x1b[2J"}}],
]


@pytest.mark.parametrize("choices", CHOICES, ids=lambda one: ascii(one)[:60])
def test_garbled_choices_cost_the_turn(
    serve: Any, raw: Callable[..., None], tmp_path: Path, choices: object
) -> None:
    body = json.dumps({"id": 7, "model": ["x"], "choices": choices, "usage": "?"}).encode()
    model = _model(serve(lambda h, request, count: raw(h, body)).url, tmp_path, attempts=1)
    assert _ask(model) is None
    assert model.problem


BODIES = {
    "HTML": (b"<html><body>502 Bad Gateway</body></html>", "text/html"),
    "an error with status 200": (b'{"error": {"message": "no"}}', "application/json"),
    "invalid UTF-8": (b'{"choices": [{"message": {"content": "\xff\xfe"}}]}', "application/json"),
    "JSON as plain text": (b"{}", "text/plain"),
    "nested without end": (b"[" * 200_000, "application/json"),
    "an event stream": (b"data: {}\n\ndata: [DONE]\n\n", "text/event-stream"),
    "nothing": (b"", "application/json"),
    "numbers without end": (b'{"choices": ' + b"9" * 5_000 + b"}", "application/json"),
}


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_no_completion_costs_the_turn(
    serve: Any, raw: Callable[..., None], tmp_path: Path, name: str, status: int
) -> None:
    body, kind = BODIES[name]
    server = serve(lambda h, request, count: raw(h, body, kind=kind, status=status))
    model = _model(server.url, tmp_path, attempts=1)
    assert _ask(model) is None
    assert model.problem


@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_without_end_is_not_read_to_its_end(
    serve: Any, tmp_path: Path, status: int
) -> None:
    sent = []

    def script(handler: Any, request: dict[str, Any], count: int) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.end_headers()
        with contextlib.suppress(OSError):
            while len(sent) < 1000:
                handler.wfile.write(b" " * 1_000_000)
                sent.append(1)

    assert _ask(_model(serve(script).url, tmp_path, attempts=1)) is None
    assert len(sent) < 100


def test_a_compressed_answer_cannot_unpack_to_any_size(
    serve: Any, raw: Callable[..., None], tmp_path: Path
) -> None:
    body = gzip.compress(b" " * 100_000_000)
    server = serve(lambda h, request, count: raw(h, body, encoding="gzip"))
    assert _ask(_model(server.url, tmp_path, attempts=1)) is None


def test_a_server_that_drips_is_left_alone_after_its_time(serve: Any, tmp_path: Path) -> None:
    ended = threading.Event()

    def script(handler: Any, request: dict[str, Any], count: int) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(100):
                handler.wfile.write(b" ")
                time.sleep(0.1)
        ended.set()

    started = time.monotonic()
    assert _ask(_model(serve(script).url, tmp_path, timeout_s=0.5, attempts=1)) is None
    assert time.monotonic() - started < 3.0
    assert ended.wait(3.0)


def test_no_server_at_all_costs_the_turn(tmp_path: Path) -> None:
    model = _model("http://127.0.0.1:9/v1", tmp_path, attempts=1)
    assert _ask(model) is None
    assert model.problem is not None
    assert model.problem.startswith("there is no connection to the server at http://127.0.0.1:9/v1")
    assert "Error" not in model.problem


@pytest.mark.parametrize("budget", [{"max_tokens": 200}, {"max_cost": 0.2, "input_price": 1000.0}])
def test_the_budget_of_tokens_or_money_ends_the_asking(
    serve: Any, reply: Callable[..., None], tmp_path: Path, budget: dict[str, float]
) -> None:
    server = serve(lambda handler, body, count: reply(handler, GOOD))
    model = _model(server.url, tmp_path, **budget)
    answers = [_ask(model) for _ in range(4)]
    assert [answer is not None for answer in answers] == [True, True, False, False]
    assert len(server.requests) == 2
    assert model.problem == "the budget for the language model is used up"


def test_the_key_is_in_no_file_log_or_traceback(
    serve: Any, reply: Callable[..., None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even where the server repeats it, in an answer or in an error."""

    def script(handler: Any, body: dict[str, Any], count: int) -> None:
        repeated = GOOD[:-1] + f', "key": "{KEY}"}}'
        reply(handler, repeated if count < 3 else f"bad {KEY}", 200 if count < 3 else 401)

    caplog.set_level(logging.DEBUG)
    model = _model(serve(script).url, tmp_path, attempts=1)
    notices = []
    for _ in range(2):
        notices.append(str(_ask(model)) + str(model.problem))
    try:
        model.settings.model_copy(update={}).save(tmp_path / "settings.json")
        raise RuntimeError(model.problem)
    except RuntimeError:
        notices.append(traceback.format_exc())
    written = "".join(file.read_text() for file in tmp_path.rglob("*") if file.is_file())
    assert KEY not in written + "".join(notices) + caplog.text + repr(model.settings)
    assert "[key]" in written


def test_every_exchange_is_a_line_of_the_agents_transcript(
    serve: Any, reply: Callable[..., None], tmp_path: Path
) -> None:
    server = serve(lambda handler, body, count: reply(handler, GOOD))
    _ask(_model(server.url, tmp_path))
    (line,) = (tmp_path / "critic.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert entry["answer"] == GOOD and entry["tokens"] == [100, 20]
    assert entry["messages"][0]["content"] == "Be brief."
