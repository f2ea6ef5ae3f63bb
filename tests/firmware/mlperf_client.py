"""A client of the MLPerf Tiny serial protocol, from its published description.

Commands are text that ends in '%'; each is answered by lines, the last of which is "m-ready"
(EEMBC's energy runner; MLCommons' "tiny" repository, benchmark/api).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

# Hexadecimal digits in one `db` command: commands hold at most 80 characters.
_DIGITS = 64


class ProtocolError(Exception):
    pass


@dataclass(frozen=True)
class Inference:
    """What `infer` answered: microseconds for the timed runs, and the real outputs."""

    microseconds: int
    results: list[float]


class MlperfClient:
    def __init__(self, write: Callable[[bytes], None], read_line: Callable[[], bytes]) -> None:
        self._write = write
        self._read_line = read_line

    def ask(self, command: str) -> list[str]:
        """The lines of an answer, without the last."""
        self._write(command.encode() + b"%")
        lines: list[str] = []
        while (line := self._read_line().decode().rstrip("\r\n")) != "m-ready":
            lines.append(line)
        for line in lines:
            if line.startswith("e-"):
                raise ProtocolError(line)
        return lines

    def name(self) -> tuple[str, str]:
        """Kind of device, and vendor's name."""
        (line,) = self.ask("name")
        return _matched(r"m-name-(\w+)-\[(.+)\]", line)

    def profile(self) -> dict[str, str]:
        return dict(_matched(r"m-(\w+)-\[(.*)\]", line) for line in self.ask("profile"))

    def timestamp(self) -> int:
        (line,) = self.ask("timestamp")
        return int(_matched(r"m-lap-us-(\d+)", line)[0])

    def load(self, values: bytes) -> None:
        (line,) = self.ask(f"db load {len(values)}")
        assert line == f"m-[Expecting {len(values)} bytes]"
        digits = values.hex()
        parts = [digits[i : i + _DIGITS] for i in range(0, len(digits), _DIGITS)]
        answers = [self.ask(f"db {part}") for part in parts]
        assert answers == [[]] * (len(parts) - 1) + [["m-load-done"]]

    def infer(self, runs: int, warm_up_runs: int) -> Inference:
        lines = self.ask(f"infer {runs} {warm_up_runs}")
        assert lines[0] == f"m-warmup-start-{warm_up_runs}"
        assert lines[1:3] == ["m-warmup-done", f"m-infer-start-{runs}"]
        assert lines[5] == "m-infer-done"
        first, last = (int(_matched(r"m-lap-us-(\d+)", line)[0]) for line in lines[3:5])
        (results,) = _matched(r"m-results-\[(.*)\]", lines[6])
        return Inference(last - first, [float(real) for real in results.split(",")])


def _matched(pattern: str, line: str) -> tuple[str, ...]:
    match = re.fullmatch(pattern, line)
    assert match is not None, line
    return match.groups()
