"""The cost of each kind of layer that cells have, in each stage of a skeleton."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.choose import choose_kernel
from automcu.compiler.kernel import Kernel
from automcu.cost.code_size import LayerBytes, function_bytes, layer_bytes
from automcu.cost.latency import latency_of, layer_cycles
from automcu.mcu.profile import Device
from automcu.networks.cells.architecture import Skeleton
from automcu.networks.cells.counting import Stage, stages
from automcu.networks.cells.structure import KINDS, kind_layer, overwrites

_ALIGNMENT = 4


@dataclass(frozen=True)
class StageCosts:
    """One layer of each kind in one stage; arrays [kinds]. Bytes and cycles.

    `functions` name the kernels' C functions, whose code (`function_bytes`) is shared by all
    layers of a shape; `weight_bytes` are those of each layer, `layers` its parameters and call.
    `shared_cycles` are those of one of several layers with the same function.
    """

    functions: tuple[str, ...]
    function_bytes: NDArray[np.float64]
    weight_bytes: NDArray[np.int64]
    layers: tuple[LayerBytes, ...]
    cycles: NDArray[np.int64]
    shared_cycles: NDArray[np.int64]
    scratch_bytes: NDArray[np.int64]
    tensor_bytes: int
    kernels: str


def stage_costs(skeleton: Skeleton, device: Device, compiler: str) -> tuple[StageCosts, ...]:
    """Costs for every stage of `skeleton` on `device`.

    Raises:
        WrongInputError: there are no latency figures or code sizes for the device.
    """
    coefficients = latency_of(device, compiler).coefficients
    costs = []
    for stage in stages(skeleton):
        kernels = [_kernel(kind, stage, skeleton.ternary, device) for kind in KINDS]
        size = stage.resolution**2 * stage.channels
        costs.append(
            StageCosts(
                functions=tuple(kernel.function for kernel in kernels),
                function_bytes=np.array(
                    [function_bytes(kernel, device, compiler) for kernel in kernels]
                ),
                weight_bytes=np.array([kernel.weight_bytes for kernel in kernels]),
                layers=tuple(layer_bytes(kernel, device, compiler) for kernel in kernels),
                cycles=np.array([layer_cycles(kernel, coefficients) for kernel in kernels]),
                shared_cycles=np.array([layer_cycles(one, coefficients, 2) for one in kernels]),
                scratch_bytes=np.array([_aligned(kernel.scratch_bytes) for kernel in kernels]),
                tensor_bytes=_aligned(size),
                kernels=_family(kernels),
            )
        )
    return tuple(costs)


def _kernel(kind: str, stage: Stage, ternary: bool, device: Device) -> Kernel:
    shape = (stage.resolution, stage.resolution, stage.channels)
    return choose_kernel(*kind_layer(kind, shape, ternary), device)


def _family(kernels: list[Kernel]) -> str:
    """Which table of memory counts holds: that of kernels with these rights to overwrite."""
    rights = {kind: k.overwrites for kind, k in zip(KINDS, kernels, strict=True)}
    for family, allowed in overwrites().items():
        if rights == allowed:
            return family
    # Mixed kernels (a width that the special ones do not take): a table that allows no more.
    return next(
        (
            family
            for family, allowed in overwrites().items()
            if all(set(allowed[kind]) <= set(rights[kind]) for kind in KINDS)
        ),
        "portable",
    )


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
