import random
import socket
import time
from collections.abc import Iterator

import pytest

from automcu.boards.link import Link, open_link
from automcu.boards.port import open_port
from automcu.errors import BoardError
from tests.boards.fake_board import Adder, answer_to, fake_board, identity


@pytest.fixture
def adder() -> Adder:
    return Adder()


@pytest.fixture
def link(adder: Adder) -> Iterator[Link]:
    with fake_board(adder) as url, open_link(url, timeout_s=0.2) as opened:
        yield opened


def test_identify_reads_every_field(link: Link) -> None:
    found = link.identify()
    assert found.model_hash == "0001020304050607"
    assert (found.board, found.compiler, found.layer_count) == ("fake", "gcc 1", 2)
    assert (found.clock_hz, found.arena_bytes, found.flash_bytes) == (100_000_000, 64, 1000)


def test_run_writes_the_input_and_returns_the_output(link: Link) -> None:
    result = link.run(b"\x01\x02\x03\xff")
    assert (result.output, result.cycles) == (b"\x02\x03\x04\x00", 1000)
    assert link.run(bytes(4), count_cycles=False).cycles == 0


def test_large_inputs_and_outputs_go_in_bounded_chunks() -> None:
    board = Adder(size=2500)
    content = random.Random(0).randbytes(2500)
    with fake_board(board) as url, open_link(url) as link:
        output = link.run(content).output
    assert output == bytes((byte + 1) % 256 for byte in content)
    assert max(len(request) for request in board.requests) <= 1040


def test_long_profiles_and_benchmarks_are_put_together(link: Link) -> None:
    assert link.profile() == list(range(300))
    assert link.benchmark(600) == [500] * 600


def test_memory_use_is_named(link: Link) -> None:
    memory = link.memory()
    assert (memory.stack_bytes, memory.stack_reserved_bytes, memory.arena_bytes) == (100, 2048, 60)


def test_an_input_of_the_wrong_size_is_refused_before_it_is_sent(link: Link) -> None:
    with pytest.raises(BoardError, match="takes 4 bytes, not 5"):
        link.run(bytes(5))


def test_a_silent_board_is_an_error_in_bounded_time() -> None:
    started = time.monotonic()
    with (
        fake_board(lambda request: b"") as url,
        open_link(url, timeout_s=0.1) as link,
        pytest.raises(BoardError, match="does not answer identify"),
    ):
        link.identify()
    assert time.monotonic() - started < 20


def test_a_board_that_goes_silent_while_computing_is_an_error_in_bounded_time() -> None:
    board = Adder()

    def dies_on_run(request: bytes) -> bytes | None:
        if request[0] == 0x03 or any(r[0] == 0x03 for r in board.requests):
            board.requests.append(request)
            return b""
        return board(request)

    started = time.monotonic()
    with (
        fake_board(dies_on_run) as url,
        Link(open_port(url, 115_200), timeout_s=0.1, compute_timeout_s=0.3) as link,
        pytest.raises(BoardError, match="does not answer"),
    ):
        link.run(bytes(4))
    assert time.monotonic() - started < 20


def test_a_lost_answer_is_asked_for_again_with_the_same_sequence() -> None:
    board = Adder()

    def loses_every_second(request: bytes) -> bytes | None:
        answer = board(request)
        return answer if len(board.requests) % 2 == 0 else b""

    with fake_board(loses_every_second) as url, open_link(url, timeout_s=0.1) as link:
        link.identify()
    first, second = board.requests
    assert first == second


def test_a_lost_run_is_asked_for_again_once_the_board_has_shown_that_it_lives() -> None:
    board = Adder()

    def loses_the_first_run(request: bytes) -> bytes | None:
        answer = board(request)
        return b"" if board.runs == 1 and request[0] == 0x03 else answer

    with (
        fake_board(loses_the_first_run) as url,
        Link(open_port(url, 115_200), timeout_s=0.5, compute_timeout_s=0.2) as link,
    ):
        assert link.run(b"\x00\x01\x02\x03").output == b"\x01\x02\x03\x04"
    runs = [request for request in board.requests if request[0] == 0x03]
    assert len(runs) == 2
    assert runs[0] == runs[1]


def test_garbage_and_a_late_answer_before_the_right_one_are_survived() -> None:
    board = Adder()

    def talks_too_much(request: bytes) -> bytes | None:
        late = bytes((request[0], (request[1] - 1) % 256))
        noise = b"boot noise \xff\x7f\x00"
        return noise + answer_to(late, b"late") + (board(request) or b"")

    with fake_board(talks_too_much) as url, open_link(url) as link:
        assert link.run(b"\x05\x06\x07\x08").output == b"\x06\x07\x08\x09"


def test_answers_that_always_arrive_damaged_are_called_that() -> None:
    def damages(request: bytes) -> bytes | None:
        answer = bytearray(answer_to(request, identity()))
        answer[5] ^= 0x10
        return bytes(answer)

    with (
        fake_board(damages) as url,
        open_link(url, timeout_s=0.1) as link,
        pytest.raises(BoardError, match=r"arrive damaged.*baud"),
    ):
        link.identify()


def test_bytes_that_are_no_answer_are_distinguished_from_silence() -> None:
    with (
        fake_board(lambda request: b"Hello from another program\r\n") as url,
        open_link(url, timeout_s=0.1) as link,
        pytest.raises(BoardError, match="sends bytes, but no answer"),
    ):
        link.identify()


def test_a_refusal_names_command_and_reason() -> None:
    with (
        fake_board(lambda request: answer_to(request, b"", status=3)) as url,
        open_link(url) as link,
        pytest.raises(BoardError, match="refused the command benchmark: out of range"),
    ):
        link.benchmark(1)


def test_firmware_of_another_protocol_version_is_refused() -> None:
    with (
        fake_board(lambda request: answer_to(request, identity(version=9))) as url,
        open_link(url) as link,
        pytest.raises(BoardError, match="protocol version 9"),
    ):
        link.identify()


@pytest.mark.parametrize("data", [b"", b"\x01" * 10, identity()[:-1], identity()[:-8]])
def test_a_malformed_identity_is_called_nonsense(data: bytes) -> None:
    with (
        fake_board(lambda request: answer_to(request, data)) as url,
        open_link(url) as link,
        pytest.raises(BoardError, match="nonsense"),
    ):
        link.identify()


@pytest.mark.parametrize("data", [b"", b"\x02\x00", b"\x01\x00" + bytes(8), b"\x02\x00" + bytes(7)])
def test_a_profile_that_does_not_add_up_is_called_nonsense(data: bytes) -> None:
    with (
        fake_board(lambda request: answer_to(request, data)) as url,
        open_link(url) as link,
        pytest.raises(BoardError, match="nonsense"),
    ):
        link.profile()


def test_a_pulled_cable_is_an_error_at_once() -> None:
    started = time.monotonic()
    with (
        fake_board(lambda request: None) as url,
        open_link(url, timeout_s=5) as link,
        pytest.raises(BoardError, match=r"connection to the board .* is gone"),
    ):
        link.identify()
    assert time.monotonic() - started < 4


def test_nothing_behind_a_socket_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(BoardError, match="Nothing listens at"):
        open_link(f"socket://127.0.0.1:{port}")


def test_a_missing_port_names_the_ones_that_are_there() -> None:
    with pytest.raises(BoardError, match=r"There is no port /dev/ttyNONE\d*\. .*plugged in"):
        open_link("/dev/ttyNONE0")


def test_an_unknown_url_says_so() -> None:
    with pytest.raises(BoardError, match="not a serial port or a URL"):
        open_link("gopher://board")
