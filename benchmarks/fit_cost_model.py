"""Fit the cost models: cycles into hw_profiles/fitted, code into automcu/cost/code_sizes.json.

    python -m benchmarks.fit_cost_model [--core CORE] [--compiler gcc|zig] [--seeds N]
                                        [--observations FOLDER] [--fit|--judge|--runtimes]

What is fitted to are single layers of every kind and size, some dozens to an image, and a few
networks under row tiling. Boards of one core run the same code: an image is linked once for a core
and compiler, and its layers are counted in the emulator with the flash timing of each board. Those
of an ESP32-S3 are counted in Debian's qemu-system-xtensa.

The error bar of a profile is what 95 % of networks keep to that are not in the fit: public ones,
random graphs, cells and transformers. It is a percentage and a number of cycles, which matters in
networks of few. The table shows it, and how far off the model is on layers
that were kept out of a fit to the others. --judge fits nothing and finds the bars anew; --runtimes
links what is around networks, for each family of parts. --observations keeps what was counted in a
folder, and counts what is there not again.
"""

import argparse
import os
import pickle
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from automcu.calibration import (
    LayerChain,
    observe_code,
    random_architectures,
    varied_choice,
    with_figures,
)
from automcu.calibration.networks import with_random_weights
from automcu.compiler import Program, compile_graph
from automcu.compiler.compile import is_fitted, layer_cycles
from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernel import Kernel
from automcu.compiler.ops import Add, AveragePool, Convolution, Lookup, MaxPool, Softmax
from automcu.compiler.tensor import NO_CLAMP, Window, integer_limits, pixel_counts
from automcu.cost.code_size import (
    SIZES_FILE,
    RuntimeSize,
    beyond_record,
    code_sizes,
    code_units,
    layer_unit,
    ring_alone_unit,
    uses_ring,
)
from automcu.cost.latency import Fit, Observation, fit, latency_of
from automcu.errors import DoesNotFitError
from automcu.mcu import Device, find_device, find_part, profile_of, shipped_devices
from automcu.mcu.find import load_profile, save_figures
from automcu.mcu.profile import FlashTiming, Latency
from automcu.networks.cells.graph import architecture_graph
from automcu.networks.cells.skeleton import Skeleton
from automcu.networks.transformers.family import TransformerShape
from automcu.networks.transformers.survey import transformer_graph
from automcu.records import resource_folder, write_atomically
from automcu.toolchains import find_compiler
from benchmarks.graph_generator import random_graph
from benchmarks.layer_counts import LinkedLayers, link_and_count
from benchmarks.public_networks import PUBLIC_NETWORKS
from benchmarks.single_layers import (
    BLOCKS_FROM,
    DILATED_FROM,
    POOLS_FROM,
    RARE_FROM,
    WINDOWS_FROM,
    layer_program,
    networks_side_by_side,
)

REFERENCES: dict[str, str] = {
    "cortex-m4": "nucleo-l4r5zi",
    "cortex-m7": "nucleo-h743zi2",
    "cortex-m33": "nucleo-u575zi-q",
    "xtensa-lx7": "esp32-s3-devkitc-1-n8r8",
}
"""The board of each core that images are linked for: one with much memory."""

FAMILIES = (
    "stm32f407g-disc1",
    "nucleo-l4r5zi",
    "stm32f746g-disco",
    "nucleo-h743zi2",
    "nucleo-u575zi-q",
    "nrf5340-dk",
    "esp32-s3-devkitc-1",
)
PARTS = ("nrf52840-qiaa",)
"""One for each family; of the last there is no board among the profiles."""

SEEDS, TILED = 24, 3
IMAGES = {RARE_FROM: 2, WINDOWS_FROM: 1, POOLS_FROM: 2, BLOCKS_FROM: 2, DILATED_FROM: 2}
"""Images of layers that the others have too few of: how many, by the first seed."""

JUDGING_IMAGES, ALONE_IMAGES = 6, 3
"""Images of networks that judge: of such as share functions, and of graphs that share none."""

_PROCESSES = 2
_KEPT_OUT = 5  # one image in so many, to see how the fit does on layers that it has not seen
_LEAST_CYCLES = 20  # what takes less has no work in it
_PERCENTILE = 95
_LARGE = 50_000  # cycles of a network in which work outweighs calls by far
_GRAPHS, _CELLS, _FIRST_GRAPH = 20, 4, 5000
_ALONE = 60  # further random graphs
_SATURATING = 100.0  # a clamp's lower end that no scale reaches
_MOST_MACS = 1_500_000  # of a network that judges
_TRANSFORMERS = (
    TransformerShape(resolution=28, patch=7, dim=48, depth=2, heads=3, mlp_ratio=2),
    TransformerShape(resolution=28, patch=4, dim=32, depth=1, heads=2, mlp_ratio=4),
)

SMALL_SEED = 3
SMALL = (
    Skeleton(stem_channels=4, cells_per_stage=1, resolution=8, input_channels=3, classes=2),
    Skeleton(stem_channels=6, cells_per_stage=1, resolution=16, input_channels=1, classes=10),
)
"""Skeletons of networks whose firmware is mostly code."""

_WITH_RING = (
    ((16, 16, 8), Convolution(Window(3, 3, padding=(1, 1, 1, 1)), 8)),
    ((16, 16, 3), Convolution(Window(3, 3, (2, 2), (0, 0, 1, 1)), 8)),
    ((20, 20, 4), Convolution(Window(5, 5), 8)),
    ((8, 8, 16), Convolution(Window(1, 1), 16)),
    ((1, 1, 64), Convolution(Window(1, 1), 8)),
    ((1, 49, 40), Convolution(Window(1, 3, padding=(0, 1, 0, 1)), 32)),
)
"""Inputs and convolutions whose code alone in a firmware is looked at."""

_MakeProgram = Callable[[int, Device], Program]


@dataclass(frozen=True)
class Seen:
    """A program, and what its image was counted to take."""

    program: Program
    found: LinkedLayers

    @property
    def kernels(self) -> list[Kernel]:
        """Of the layers, in order."""
        return [self.program.kernels[one.name] for one in self.program.graph.operators]

    @property
    def callers(self) -> Counter[str]:
        """How many layers call each C function."""
        return Counter(kernel.function for kernel in self.kernels)

    def observations(self, board: int) -> Iterator[Observation]:
        """Layers as they ran on one of the boards."""
        callers = self.callers
        for kernel, cycles in zip(self.kernels, self.found.cycles[board], strict=True):
            if cycles >= _LEAST_CYCLES:
                yield Observation(kernel, cycles, callers[kernel.function])


def tiled_program(seed: int, device: Device) -> Program:
    """A network of the space in so little memory that layers are tiled by rows."""
    architecture = random_architectures(TILED, 7)[seed]
    graph = with_random_weights(architecture_graph(architecture), seed)
    return compile_graph(graph, device, 1, varied_choice(seed))


def judging_graphs() -> dict[str, Graph]:
    """Networks that are not fitted to, with weights, by name."""
    graphs = {name: with_random_weights(make(), 0) for name, make in PUBLIC_NETWORKS.items()}
    graphs |= useful_graphs(range(_FIRST_GRAPH, _FIRST_GRAPH + _GRAPHS))
    for index, one in enumerate(random_architectures(_CELLS, 1)):
        graphs[f"cell {index}"] = with_random_weights(architecture_graph(one), index)
    for index, shape in enumerate(_TRANSFORMERS):
        graphs[f"transformer {index}"] = with_random_weights(transformer_graph(shape), index)
    return graphs


def useful_graphs(seeds: Iterable[int]) -> dict[str, Graph]:
    """Random graphs all of whose layers compute something, by name."""
    graphs = {f"random graph {seed}": random_graph(seed) for seed in seeds}
    return {name: one for name, one in graphs.items() if not has_constant_result(one)}


def has_constant_result(graph: Graph) -> bool:
    """Whether a layer gives one value for every input: compilers then leave it out.

    That is a clamp that leaves one value, a pool whose windows see none, or a tensor less itself.
    """
    return any(_is_constant(one, graph) for one in graph.operators)


def _is_constant(operator: Operator, graph: Graph) -> bool:
    attributes, result = operator.attributes, graph.tensors[operator.output].quantisation
    for clamp in (getattr(attributes, name, NO_CLAMP) for name in ("clamp", "final_clamp")):
        if clamp[0] >= _SATURATING:
            return True
        if result is not None:
            least, most = integer_limits(clamp, result.scale, result.zero_point)
            if least >= most:
                return True
    if isinstance(attributes, AveragePool | MaxPool):
        (source,) = operator.sources(graph)
        return not pixel_counts(attributes.window, *source.shape[:2]).any()
    is_difference = isinstance(attributes, Add) and attributes.sign < 0
    return is_difference and len(set(operator.inputs)) == 1


def judging_program(image: int, device: Device) -> Program:
    """The layers of some of these networks side by side, with the kernels that a user gets.

    Behind the `JUDGING_IMAGES` stand those of small random graphs, each with functions of its own
    as in a firmware of its own: compilers fold a layer's parameters into the function of an only
    caller.
    """
    alone = image >= JUDGING_IMAGES
    if alone:
        first = _FIRST_GRAPH + _GRAPHS + image - JUDGING_IMAGES
        graphs = useful_graphs(range(first, _FIRST_GRAPH + _GRAPHS + _ALONE, ALONE_IMAGES))
    else:
        graphs = dict(list(judging_graphs().items())[image::JUDGING_IMAGES])
    programs = {name: compile_graph(graph, device) for name, graph in graphs.items()}
    if alone:
        programs = {
            name: with_own_functions(one, place)
            for place, (name, one) in enumerate(programs.items())
        }
    return networks_side_by_side(
        {name: one for name, one in programs.items() if one.macs <= _MOST_MACS}
    )


def with_own_functions(program: Program, place: int) -> Program:
    """The program with names of functions that no program at another place has."""
    kernels = {
        name: replace(kernel, function=f"{kernel.function}_of_{place}")
        for name, kernel in program.kernels.items()
    }
    return replace(program, kernels=kernels)


@dataclass(frozen=True)
class Job:
    """One image: how its program is made, and where what is counted is kept."""

    make: _MakeProgram | Callable[[str, Device], Program]
    seed: int | str
    device: Device
    boards: tuple[Device, ...]
    keep: Path | None


def run(job: Job) -> LinkedLayers | None:
    """Build and count one image; None where it does not fit or is too slow to count."""
    if job.keep and job.keep.is_file():
        return pickle.loads(job.keep.read_bytes())  # type: ignore[no-any-return]
    program = job.make(job.seed, job.device)  # type: ignore[arg-type]
    try:
        found = link_and_count(program, job.device, job.boards, 0)
    except DoesNotFitError:
        return None
    if job.keep:
        write_atomically(job.keep, pickle.dumps(found))
    return found


def see(jobs: Sequence[Job]) -> list[Seen]:
    """All images that fit, two at a time."""
    seen = []
    with ProcessPoolExecutor(_PROCESSES) as pool:
        for job, found in zip(jobs, pool.map(run, jobs), strict=True):
            if found is not None:
                seen.append(Seen(job.make(job.seed, job.device), found))  # type: ignore[arg-type]
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return seen


def boards_of(core: str) -> tuple[Device, ...]:
    """The shipped boards with this core, as their profiles are now."""
    folder = resource_folder("hw_profiles")
    return tuple(
        load_profile(folder / f"{one.id}.toml")
        for one in shipped_devices().values()
        if one.core == core
    )


def fitted_bytes(rows: Sequence[tuple[dict[str, int], int]]) -> dict[str, float]:
    """Bytes by unit of code, from units and bytes of each function or layer; most even out."""
    from scipy.optimize import nnls

    names = sorted({name for units, _ in rows for name in units})
    parts = np.array([[units.get(name, 0) for name in names] for units, _ in rows], float)
    sizes = np.array([size for _, size in rows], float)
    importance = np.ones(len(rows))
    for _ in range(8):
        found, _ = nnls(parts * importance[:, None], sizes * importance, maxiter=50_000)
        importance = 1 / np.sqrt(np.maximum(np.abs(parts @ found - sizes), 6))
    return dict(zip(names, (round(float(v), 2) for v in found), strict=True))


def write_code_sizes(key: str, seen: Sequence[Seen], reference: Device) -> None:
    """Replace the core's figures of functions and layers; runtimes stay."""
    functions = [
        (code_units(kernel), one.found.functions[kernel.function])
        for one in seen
        for kernel in one.program.functions
    ]
    layers: dict[str, list[int]] = {}
    for one in seen:
        for kernel, size in zip(one.kernels, one.found.layers, strict=True):
            callers = one.callers[kernel.function]
            beyond = beyond_record(kernel, one.program) if callers > 1 else 0
            layers.setdefault(layer_unit(kernel, callers), []).append(size - beyond)
    shared: dict[str, list[int]] = {}
    for one in seen:
        for name, size in one.found.shared.items():
            shared.setdefault(f"shared/{name}", []).append(size)
    kernels = fitted_bytes(functions) | _medians(shared)
    if reference.core != "xtensa-lx7":
        kernels |= ring_alone(kernels, reference)
    known = code_sizes()
    known.model_copy(
        update={
            "kernels": {**known.kernels, key: dict(sorted(kernels.items()))},
            "layers": {**known.layers, key: dict(sorted(_medians(layers).items()))},
        }
    ).save(SIZES_FILE)
    code_sizes.cache_clear()


def ring_alone(kernels: Mapping[str, float], device: Device) -> dict[str, float]:
    """Bytes of the ring's functions with constants, and what they save in the kernel that calls.

    Layers behind the convolution keep a compiler from putting all into one function.
    """
    found: dict[str, list[int]] = {}
    for shape, convolution in _WITH_RING:
        chain = LayerChain(shape)
        for attributes in (convolution, Softmax(), Lookup("sigmoid", np.zeros(256, np.int8))):
            chain.append(attributes)
        seen = observe_code(chain.graph(), device, 0)
        for one in seen.kernels:
            if uses_ring(one.kernel):
                modelled = sum(kernels[name] * n for name, n in code_units(one.kernel).items())
                size = sum(seen.shared.values()) + one.code_bytes - modelled
                found.setdefault(ring_alone_unit(one.kernel), []).append(round(size))
    return _medians(found)


def _medians(sizes: dict[str, list[int]]) -> dict[str, float]:
    return {name: float(np.median(values)) for name, values in sizes.items()}


def show_kept_out(single: Sequence[Seen], tiled: Sequence[Seen], board: int) -> None:
    """How far off layers are that were kept out of a fit to the others."""
    some = [one for place, one in enumerate(single) if place % _KEPT_OUT]
    others = [one for place, one in enumerate(single) if place % _KEPT_OUT == 0]
    partial = fit([o for one in [*some, *tiled] for o in one.observations(board)])
    errors = layer_errors(others, board, partial.coefficients)
    print(
        f"    {len(errors)} layers kept out of a fit to the others: median {np.median(errors):.1f}"
        f" %, 85 % within {np.percentile(errors, 85):.1f} %, 95 % within "
        f"{np.percentile(errors, 95):.1f} %, worst {max(errors):.0f} %",
        flush=True,
    )


def write_latency(board: Device, latency: Latency) -> None:
    """Replace the board's table of this compiler."""
    save_figures(resource_folder("hw_profiles"), board.id, latency)


def errors_percent(
    seen: Sequence[Seen], board: int, coefficients: dict[str, float]
) -> dict[str, tuple[int, float]]:
    """Modelled cycles of whole networks, and how far they are off in percent, by name.

    Networks with a kernel that has no figures are left out: no bar is printed for them.
    """
    guessed = set()
    modelled: Counter[str] = Counter()
    counted: Counter[str] = Counter()
    for one in seen:
        callers = one.callers
        cycles = one.found.cycles[board]
        for operator, kernel, took in zip(
            one.program.graph.operators, one.kernels, cycles, strict=True
        ):
            network = operator.name.rpartition("/")[0]
            if not is_fitted(kernel, coefficients, callers[kernel.function]):
                guessed.add(network)
            modelled[network] += layer_cycles(kernel, coefficients, callers[kernel.function])
            counted[network] += took
    return {
        name: (modelled[name], 100 * (modelled[name] / took - 1))
        for name, took in counted.items()
        if name not in guessed
    }


def write_runtimes(kind: str) -> None:
    """Replace the figures of all that is neither kernel nor layer, for every family of parts."""
    os.environ["AUTOMCU_COMPILER"] = kind
    shipped = list(shipped_devices().values())
    devices = [find_device(name) for name in FAMILIES]
    devices += [profile_of(find_part(part), shipped) for part in PARTS]
    for device in devices:
        if kind not in compilers_for(device):
            continue
        usual = [
            observe_code(architecture_graph(one), device, seed)
            for seed, one in enumerate(random_architectures(len(SMALL), SMALL_SEED, SMALL))
        ]
        # Where constants are copied to RAM, those of layers count as the runtime's: the most.
        of_ram = np.max if device.weights_in_ram else np.median
        runtime = RuntimeSize(
            flash_bytes=round(float(np.median([s.runtime.flash_bytes for s in usual]))),
            ram_bytes=round(float(of_ram([s.runtime.ram_bytes for s in usual]))),
        )
        known = code_sizes()
        key = f"{device.family}/{device.core}/{kind}"
        print(
            f"{key}: {runtime.flash_bytes} bytes of flash, {runtime.ram_bytes} of RAM", flush=True
        )
        known.model_copy(update={"runtimes": {**known.runtimes, key: runtime}}).save(SIZES_FILE)
        code_sizes.cache_clear()


def layer_errors(seen: Sequence[Seen], board: int, coefficients: dict[str, float]) -> list[float]:
    """The same of single layers, without sign, of those whose units all have figures."""
    return [
        100 * abs(layer_cycles(o.kernel, coefficients, o.callers) / o.cycles - 1)
        for one in seen
        for o in one.observations(board)
        if is_fitted(o.kernel, coefficients, o.callers)
    ]


def fit_core(
    core: str, kind: str, seeds: int, folder: Path | None, judge_only: bool, fit_only: bool
) -> None:
    """Fit, write and judge the figures of all boards with a core."""
    os.environ["AUTOMCU_COMPILER"] = kind
    compiler = find_compiler(core)
    boards = boards_of(core)
    reference = find_device(REFERENCES[core])
    print(f"{core}, {compiler}: {', '.join(one.id for one in boards)}", file=sys.stderr)

    def jobs(make: object, names: Sequence[int | str], device: Device, what: str) -> list[Job]:
        return [
            Job(make, n, device, boards, folder and folder / f"{core}-{kind}-{what}-{n}.pickle")  # type: ignore[arg-type]
            for n in names
        ]

    if not judge_only:
        images = [i for first, n in IMAGES.items() for i in range(first, first + n)]
        single = see(jobs(layer_program, [*range(seeds), *images], reference, "layers"))
        tiled = see(jobs(tiled_program, range(TILED), reference, "rows"))
        write_code_sizes(f"{core}/{kind}", single + tiled, reference)
        fits: dict[FlashTiming, Fit] = {}
        for index, board in enumerate(boards):
            if board.flash_timing not in fits:
                fits[board.flash_timing] = fit(
                    [o for one in single + tiled for o in one.observations(index)]
                )
            fitted = fits[board.flash_timing]
            within = np.percentile(layer_errors(single, index, fitted.coefficients), [50, 95])
            print(
                f"{board.id:24} {kind:4} layers of the fit: median {within[0]:.1f} %, 95 % within "
                f"{within[1]:.1f} %",
                flush=True,
            )
            if board.id == reference.id:
                show_kept_out(single, tiled, index)
            write_latency(
                board,
                Latency(
                    source="virtual",
                    date=datetime.now(UTC).date().isoformat(),
                    compiler=compiler.kind,
                    compiler_version=compiler.version,
                    residual_percent=round(float(within[1]), 1),
                    coefficients=dict(sorted(fitted.coefficients.items())),
                ),
            )
    if not fit_only:
        judge(core, kind, jobs)


def judge(core: str, kind: str, jobs: Callable[..., list[Job]]) -> None:
    """Find the error bars of a core's boards on whole networks, and write them."""
    boards = boards_of(core)
    reference = next(one for one in boards if one.id == REFERENCES[core])
    figures = latency_of(reference, kind)
    images = range(JUDGING_IMAGES + ALONE_IMAGES)
    seen = see(jobs(judging_program, images, with_figures(reference, figures), "judge"))
    for index, board in enumerate(boards):
        latency = latency_of(board, kind)
        errors = errors_percent(seen, index, dict(latency.coefficients))
        large = {name: off for name, (cycles, off) in errors.items() if cycles >= _LARGE}
        small = {name: pair for name, pair in errors.items() if name not in large}
        percent = _most_of([abs(off) for off in large.values()])
        beyond = _most_of([n * (abs(off) - percent) / 100 for n, off in small.values()])
        judged = latency.model_copy(
            update={"network_percent": round(percent, 1), "network_cycles": max(round(beyond), 0)}
        )
        worst = max(large, key=lambda name: abs(large[name]))
        within = [abs(off) <= (judged.error_percent(n) or 0) for n, off in errors.values()]
        print(
            f"{board.id:24} {kind:4} {len(large)} networks: "
            f"median {np.median(np.abs(list(large.values()))):.1f} %, {_PERCENTILE} % within "
            f"{percent:.1f} %, worst {large[worst]:+.1f} % ({worst}); {len(small)} of fewer than "
            f"{_LARGE:,} cycles: {_PERCENTILE} % within that and {beyond:.0f} cycles; "
            f"{sum(within)} of {len(within)} within their bars",
            flush=True,
        )
        write_latency(board, judged)


def _most_of(errors: Sequence[float]) -> float:
    """The least that `_PERCENTILE` of these errors stay within."""
    return float(np.percentile(errors, _PERCENTILE, method="inverted_cdf"))


def compilers_for(device: Device) -> tuple[str, ...]:
    """The kinds of compilers that there are for a device's core."""
    return ("gcc",) if device.core == "xtensa-lx7" else ("gcc", "zig")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--core", action="append", choices=list(REFERENCES))
    parser.add_argument("--compiler", action="append", choices=("gcc", "zig"))
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"images of layers ({SEEDS})")
    parser.add_argument("--observations", type=Path, help="folder to keep what is counted in")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--judge", action="store_true", help="fit nothing, find the error bars")
    only.add_argument("--runtimes", action="store_true", help="only the code around networks")
    only.add_argument("--fit", action="store_true", help="leave the error bars out")
    options = parser.parse_args()
    if options.observations:
        options.observations.mkdir(parents=True, exist_ok=True)
    if options.runtimes:
        for kind in options.compiler or ("gcc", "zig"):
            write_runtimes(kind)
        return 0
    for core in options.core or REFERENCES:
        kinds = compilers_for(find_device(REFERENCES[core]))
        for kind in options.compiler or kinds:
            if kind in kinds:
                fit_core(
                    core, kind, options.seeds, options.observations, options.judge, options.fit
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
