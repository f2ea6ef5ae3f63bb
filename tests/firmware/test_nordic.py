"""The nRF5340's firmware in an emulator that is not ours: `labwired` has its UARTE and clock.

Its core lacks the DSP instructions, so the network runs on portable kernels there, and its receiver
takes what waits when it is started, and nothing later: all requests are sent at once. Our own
virtual boards do without either (tests/boards/test_every_profile.py).
"""

import importlib.util
import struct
from pathlib import Path

import numpy as np
import pytest

from automcu.boards.protocol import FrameReader, encode_frame
from automcu.calibration.networks import chain, with_random_weights
from automcu.compiler import compile_graph, write_project
from automcu.compiler.compile import candidates
from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernel import Kernel
from automcu.mcu import Device, find_device
from automcu.toolchains import build_project

WRITE, RUN, READ, IDENTIFY = 2, 3, 4, 1
SEED = 3


def portable(operator: Operator, graph: Graph, device: Device) -> Kernel:
    return candidates(operator, graph, device)[-1]


@pytest.mark.skipif(
    importlib.util.find_spec("labwired") is None,
    reason="pip install labwired: there is no emulator of the nRF5340 here",
)
def test_the_firmware_answers_and_infers_in_an_nrf5340_emulator(tmp_path: Path) -> None:
    import labwired

    device = find_device("nrf5340-dk")
    program = compile_graph(with_random_weights(chain(SEED), SEED), device, choose=portable)
    shape = program.graph.tensors[program.graph.input].shape
    image = np.random.default_rng(0).integers(-128, 128, (1, *shape), dtype=np.int8)
    expected = program.run(image).tobytes()
    write_project(program, device.id, tmp_path, golden_inputs=image)
    build_project(tmp_path, device)
    requests = (
        bytes((IDENTIFY, 1)),
        bytes((WRITE, 2)) + bytes(4) + image.tobytes(),
        bytes((RUN, 3, 0)),
        bytes((READ, 4)) + struct.pack("<IH", 0, len(expected)),
    )
    reader, answers = FrameReader(), []
    with labwired.Sim(str(tmp_path / "build/firmware.elf"), chip="nrf5340") as board:
        board.send_bytes(b"\0" + b"".join(encode_frame(request) for request in requests))
        for _ in range(200):
            board.run_for("2ms")
            answers += reader.feed(board.read_uart_bytes())
            if len(answers) == len(requests):
                break
    assert [a[:3] for a in answers] == [bytes((r[0] | 0x80, r[1], 0)) for r in requests]
    assert device.id.encode() in answers[0]
    assert answers[3][3:] == expected
