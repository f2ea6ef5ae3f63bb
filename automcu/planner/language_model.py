"""One way to ask a language model: any server that speaks OpenAI's protocol, and no trust in it.

An answer is the record that was asked for, or None: a server that is dead, slow, rude or hostile
costs a turn and never the run. The key comes from the environment and goes to the server alone;
what is written or shown has it blotted out, also where the server repeats it.

NAS-Bench-201 and its best cells are in public text. A model that sees the operations as letters has
to learn from the run what each is worth.
"""

import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from openai import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    BadRequestError,
    OpenAI,
    UnprocessableEntityError,
)
from pydantic import ValidationError

from automcu.errors import one_line
from automcu.networks.cells.cell import OPERATIONS
from automcu.planner.records import KEY_VARIABLES, ModelSettings, Usage, strict_schema
from automcu.planner.servers import bounded_client
from automcu.records import Record, append_line

_QUOTES = "[\"'`]"


@dataclass(frozen=True)
class Disguise:
    """What each operation is called; `hide` and `reveal` are each other's inverse.

    Only whole words in quotes are names: the word none is an operation, and a word of English.
    """

    labels: Mapping[str, str]

    @classmethod
    def drawn(cls, seed: int) -> "Disguise":
        """Draw which letter stands for which operation."""
        letters = np.random.default_rng(seed).permutation(list("abcde"))
        return cls({name: f"op_{letter}" for name, letter in zip(OPERATIONS, letters, strict=True)})

    def hide(self, text: str) -> str:
        """Return what the model sees."""
        return _renamed(text, self.labels)

    def reveal(self, text: str) -> str:
        """Return what the model meant."""
        return _renamed(text, {label: name for name, label in self.labels.items()})


def _renamed(text: str, names: Mapping[str, str]) -> str:
    known = "|".join(map(re.escape, names))
    return re.sub(rf"(?<={_QUOTES})(?:{known})(?={_QUOTES})", lambda found: names[found[0]], text)


Answer = TypeVar("Answer", bound=Record)

_NO_KEY = "none"  # what servers on one's own machine expect
_LONGEST_ANSWER = 20_000  # characters; a whole answer of any agent has a few hundred
# Where a server does not count. English and JSON have three to four bytes a token, so that this
# counts more tokens than there are.
_BYTES_PER_TOKEN = 2
# What servers add to a prompt: their template, and the schema once more.
_ADDED_TOKENS = 2_000
_NOT_COUNTED = (
    "The language model's server does not say how many tokens it used. They are estimated, rather "
    "too many than too few: one for every two bytes."
)
_LONGEST_QUOTE = 160  # characters of a server's own words
_DEEPEST_MESSAGE = 3  # as in {"error": {"message": "..."}}
# From the strictest to the one that every server has; each is left for the next when refused.
_FORMATS = ("strict", "json_schema", "json_object", "text")
_WITHOUT_SCHEMA = ("json_object", "text")


@dataclass(frozen=True)
class _Reply:
    text: str
    input_tokens: int
    output_tokens: int
    estimated: bool


class _NoReplyError(Exception):
    """The server gave none; the message says why, without the key.

    `read` says whether it may have read the prompt all the same, and charge for it.
    """

    def __init__(self, reason: str, read: bool = False) -> None:
        super().__init__(reason)
        self.read = read


@dataclass
class LanguageModel:
    """A model on a server, its budget, and the transcripts of who asked it what.

    With a `disguise` the model sees operations under other names. `notify` is called once with a
    sentence when the server does not count its tokens.
    """

    settings: ModelSettings
    transcripts: Path
    usage: dict[str, Usage] = field(default_factory=dict)
    problem: str | None = None
    disguise: Disguise | None = None
    notify: Callable[[str], None] = lambda sentence: None
    _format: int = 0
    _told_of_estimates: bool = False

    def __post_init__(self) -> None:
        self._key = next((os.environ[n] for n in KEY_VARIABLES if os.environ.get(n)), _NO_KEY)
        self._client = OpenAI(
            api_key=self._key,
            base_url=self.settings.base_url,
            timeout=self.settings.timeout_s,
            max_retries=self.settings.attempts - 1,
            http_client=bounded_client(self.settings.timeout_s),
        )

    @property
    def spent(self) -> bool:
        """Whether the budget of tokens or money is used up."""
        received = sum(one.input_tokens for one in self.usage.values())
        written = sum(one.output_tokens for one in self.usage.values())
        cost = (received * self.settings.input_price + written * self.settings.output_price) / 1e6
        limit = self.settings.max_cost
        return received + written >= self.settings.max_tokens or (
            limit is not None and cost >= limit
        )

    def ask(
        self, agent: str, instructions: str, view: Record, wanted: type[Answer]
    ) -> Answer | None:
        """Ask for a record; an answer that is none is sent back once with what is wrong.

        Returns:
            The answer; None where there was none, with the reason in `problem`.
        """
        schema = strict_schema(wanted)
        messages: list[dict[str, str]] = [
            {"role": "system", "content": instructions},
            {"role": "user", "content": view.model_dump_json()},
        ]
        for _ in range(2):
            if self.spent:
                self.problem = "the budget for the language model is used up"
                return None
            try:
                text = self._converse(agent, messages, schema)
            except _NoReplyError as error:
                self.problem = str(error)
                return None
            try:
                meant = self.disguise.reveal(text) if self.disguise else text
                answer = wanted.model_validate_json(_json_within(meant))
            except ValueError as error:  # no such record, or characters that no text can have
                self.problem = f"the answer was no {wanted.__name__}"
                messages = [*messages[:2], *_sent_back(text, error)]
            else:
                self._add(agent, answers=1)
                self.problem = None
                return answer
        return None

    def _converse(self, agent: str, messages: list[dict[str, str]], schema: dict[str, Any]) -> str:
        """Send messages, note what was said by whom, and return the reply's text."""
        if self.disguise:
            messages = [{**one, "content": self.disguise.hide(one["content"])} for one in messages]
            schema = json.loads(self.disguise.hide(json.dumps(schema)))
        started = time.monotonic()
        self._add(agent, requests=1)
        entry: dict[str, object] = {"messages": messages}
        try:
            reply = self._reply(messages, schema)
        except _NoReplyError as error:
            entry["problem"] = str(error)
            if error.read:
                asked = _estimated(_request_bytes(messages, schema))
                self._add(agent, input_tokens=asked, estimated=1)
            raise
        else:
            self._add(agent, input_tokens=reply.input_tokens, output_tokens=reply.output_tokens)
            entry |= {"answer": reply.text, "tokens": [reply.input_tokens, reply.output_tokens]}
            if reply.estimated:
                self._note_estimate(agent)
                entry["tokens_estimated"] = True
            return reply.text
        finally:
            self._add(agent, seconds=time.monotonic() - started)
            entry["seconds"] = round(time.monotonic() - started, 3)
            append_line(self.transcripts / f"{agent}.jsonl", entry)

    def _add(self, agent: str, **more: float) -> None:
        before = self.usage.get(agent, Usage())
        grown = {name: getattr(before, name) + by for name, by in more.items()}
        self.usage[agent] = before.model_copy(update=grown)

    def _note_estimate(self, agent: str) -> None:
        """Count a completion whose tokens are estimated; the first one is reported."""
        if not self._told_of_estimates:
            self.notify(_NOT_COUNTED)
        self._told_of_estimates = True
        self._add(agent, estimated=1)

    def _reply(self, messages: list[dict[str, str]], schema: dict[str, Any]) -> _Reply:
        """Return the reply, asking for JSON as strictly as the server can."""
        while True:
            try:
                return self._within_time(messages, schema)
            except (BadRequestError, UnprocessableEntityError) as error:
                if self._format == len(_FORMATS) - 1:
                    raise _NoReplyError(self._reason(error)) from None
                self._format += 1
            except _NoReplyError:
                raise
            except Exception as error:  # whatever a server makes of a client, it costs a turn
                raise _NoReplyError(self._reason(error), _was_read(error)) from None

    def _within_time(self, messages: list[dict[str, str]], schema: dict[str, Any]) -> _Reply:
        """Give up on a server that drips: the client's own time-out counts anew with each byte."""
        outcome: list[_Reply | Exception] = []

        def request() -> None:
            try:
                outcome.append(self._request(messages, schema))
            except Exception as error:  # handed to the thread that waits
                outcome.append(error)

        thread = threading.Thread(target=request, daemon=True)
        thread.start()
        thread.join(self.settings.timeout_s * self.settings.attempts + 10.0)
        if not outcome:
            raise _NoReplyError("the server did not finish its answer in time", read=True)
        if isinstance(outcome[0], Exception):
            raise outcome[0] from None
        return outcome[0]

    def _request(self, messages: list[dict[str, str]], schema: dict[str, Any]) -> _Reply:
        completions: Any = self._client.chat.completions
        kind = _FORMATS[self._format]
        response = completions.create(
            model=self.settings.model,
            messages=_with_schema(messages, schema) if kind in _WITHOUT_SCHEMA else messages,
            max_completion_tokens=self.settings.max_answer_tokens,
            **_response_format(kind, schema),
        )
        choices = getattr(response, "choices", None)
        if not choices:
            raise _NoReplyError(
                f"the server sent no completion{self._quoted(_said(response))}", read=True
            )
        text = _text(choices[0].message.content)
        if len(text) > _LONGEST_ANSWER:
            raise _NoReplyError(
                f"the server's answer has {len(text):,} characters, far too many", read=True
            )
        usage, asked, written = response.usage, _request_bytes(messages, schema), _bytes(text)
        received = _counted(usage, "prompt_tokens", asked + _ADDED_TOKENS)
        wrote = _counted(usage, "completion_tokens", written + self.settings.max_answer_tokens)
        return _Reply(
            text.replace(self._key, "[key]") if self._key != _NO_KEY else text,
            _estimated(asked) if received is None else received,
            _estimated(written) if wrote is None else wrote,
            estimated=received is None or wrote is None,
        )

    def _reason(self, error: Exception) -> str:
        """Say what went wrong, with what the server itself says of it."""
        if isinstance(error, APIStatusError):
            what = f"the server answered with status {error.status_code}"
            return what + self._quoted(_said(error.body))
        if isinstance(error, APITimeoutError):
            return f"the server did not answer within {self.settings.timeout_s:g} s"
        if isinstance(error, APIConnectionError):
            cause = self._quoted(str(error.__cause__ or ""))
            return f"there is no connection to the server at {self.settings.base_url}{cause}"
        return "what the server sent is no completion"

    def _quoted(self, words: str) -> str:
        """Somebody else's words as the end of a sentence of ours, without the key, or nothing."""
        line = one_line(" ".join(words.replace(self._key, "[key]").split()))
        if not line:
            return ""
        return f": “{line[:_LONGEST_QUOTE]}{'…' if len(line) > _LONGEST_QUOTE else ''}”"


def _said(answer: object) -> str:
    """Return the error message in what a server sent, wherever servers put it, or nothing."""
    found = answer
    for _ in range(_DEEPEST_MESSAGE):
        if isinstance(found, str):
            return found
        fields = found if isinstance(found, dict) else getattr(found, "model_extra", None)
        if not isinstance(fields, dict):
            return ""
        named = (fields.get(name) for name in ("message", "error", "detail"))
        found = next((one for one in named if one), None)
    return ""


def _was_read(error: Exception) -> bool:
    """Say whether the server may have read a prompt before this happened."""
    refused = isinstance(error, APIStatusError | APIConnectionError)
    return not refused or isinstance(error, APITimeoutError)


def _text(content: object) -> str:
    """Return an answer's text; some servers send it in parts.

    Raises:
        TypeError: it is neither.
    """
    if content is None:
        return ""
    parts = content if isinstance(content, list) else [content]
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    known = [text for text in texts if isinstance(text, str)]
    if len(known) != len(texts):
        raise TypeError("the answer's content is no text")
    return "".join(known)


def _counted(usage: object, name: str, most: int) -> int | None:
    """Return a server's count of tokens; None where it gives none, or one that cannot be true."""
    given = usage.get(name) if isinstance(usage, dict) else getattr(usage, name, None)
    if isinstance(given, bool) or not isinstance(given, int | float) or given != given:
        return None
    return int(given) if 0 < given <= most else None


def _estimated(size: int) -> int:
    """Return how many tokens so many bytes have at most, as a rule."""
    return -(-size // _BYTES_PER_TOKEN)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", errors="surrogatepass"))


def _request_bytes(messages: list[dict[str, str]], schema: dict[str, Any]) -> int:
    return sum(_bytes(message["content"]) for message in messages) + _bytes(json.dumps(schema))


def _response_format(kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    if kind == "text":
        return {}
    if kind == "json_object":
        return {"response_format": {"type": "json_object"}}
    named: dict[str, Any] = {"name": "answer", "schema": schema}
    if kind == "strict":
        named["strict"] = True
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _with_schema(messages: list[dict[str, str]], schema: dict[str, Any]) -> list[dict[str, str]]:
    first = f"{messages[0]['content']}\nAnswer with JSON of this schema and nothing else:\n{schema}"
    return [{"role": "system", "content": first}, *messages[1:]]


def _sent_back(text: str, error: ValueError) -> list[dict[str, str]]:
    where, what = "the answer", "it is no JSON"
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        where, what = ".".join(str(part) for part in first["loc"]) or where, first["msg"]
    objection = f"That is not what was asked for: {where}: {what}. Answer again, with JSON only."
    given = text[:1000].encode("utf-8", errors="replace").decode()
    return [{"role": "assistant", "content": given}, {"role": "user", "content": objection[:500]}]


def _json_within(text: str) -> str:
    """Return what stands from the first brace to the last: models like to wrap it in prose."""
    start, end = text.find("{"), text.rfind("}")
    return text[start : end + 1] if 0 <= start < end else text
