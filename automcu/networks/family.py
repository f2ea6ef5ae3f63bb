"""What every family of networks offers, and where families are found.

A family is a folder beside this file whose module `family` holds a `FAMILY`; another package names
its own as an entry point of the group `automcu.networks`, or calls `register`. Planner, run, report
and command line ask the family of a network for all that depends on it, and never which one it is.
"""

import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, NamedTuple, Protocol, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, SerializeAsAny, ValidationError

from automcu.errors import WrongInputError
from automcu.records import Record

if TYPE_CHECKING:
    from automcu.brief import Limits
    from automcu.compiler.graph import Graph
    from automcu.cost.records import Remedy
    from automcu.mcu.profile import Device
    from automcu.training.records import Trained, Training

ENTRY_POINTS = "automcu.networks"

EVERY_FAMILY = "auto"
"""What a brief calls all families together."""

FIRST_PROPOSALS = 4
"""A plan's first proposals, which are chosen before any result decides."""

# NAS-Bench-201 ranks its cells at 32x32; far larger inputs are shrunk to this before planning.
LARGEST_RESOLUTION = 96
# Two reductions leave a quarter of the resolution, and below 2x2 a 3x3 convolution is wasted.
SMALLEST_RESOLUTION = 8
_RESOLUTION_STEPS = 3

FLOAT_MODEL = "float.onnx"
INT8_MODEL = "int8.onnx"
"""The files that a training leaves in its folder."""


class Network(Record, ABC):
    """All that is needed to build one network of a family."""

    @property
    @abstractmethod
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an input."""

    @property
    @abstractmethod
    def class_count(self) -> int:
        """How many classes it tells apart."""


def _read_network(value: object) -> object:
    """Turn a mapping into the network of the family that has such; records do not say which."""
    if not isinstance(value, Mapping):
        return value
    for family in families().values():
        try:
            return family.network.model_validate(value)
        except ValidationError:
            continue
    raise ValueError("no known family has such a network")


AnyNetwork = Annotated[SerializeAsAny[Network], BeforeValidator(_read_network)]
"""A network of any family, in a field of a record."""


class Proposal(Record):
    """A network worth training, with what is known of it before training.

    `prior` is its known accuracy in percent (None where no table has it), `score` ranked it; the
    file calls it `merit`. `cell_index` is the network's number, in families that number theirs.
    Latency and memory are modelled.
    """

    model_config = ConfigDict(
        validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )

    rank: int
    architecture: AnyNetwork
    cell_index: int | None = Field(default=None, exclude_if=lambda index: index is None)
    prior: float | None
    score: float = Field(alias="merit")
    latency_ms: float
    flash_bytes: int
    ram_bytes: int


class Observation(Record):
    """A network that was chosen; the accuracy is None while it trains, and if it failed."""

    architecture: AnyNetwork
    accuracy_percent: float | None


class FamilyPlan(Record):
    """How much of a family's space fits, and the best of it, the most promising first.

    `prior` says how it was ranked. `excluded` counts the networks that each limit rules out.
    `space`, the networks that were judged, is called `shapes` in the file. Where nothing fits,
    `miss` says by how much the smallest network misses; it is not written.
    """

    model_config = ConfigDict(
        validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )

    prior: str
    space: int = Field(alias="shapes")
    feasible: int
    excluded: dict[str, int] = Field(default_factory=dict)
    proposals: tuple[Proposal, ...]
    seconds: float
    miss: str = Field(default="", exclude=True)


class Needs(Protocol):
    """What estimates and surveys say of a network; modelled."""

    @property
    def latency_ms(self) -> float:
        """One inference."""

    @property
    def flash_bytes(self) -> int:
        """All of the image."""

    @property
    def ram_bytes(self) -> int:
        """Arena, stack and the runtime's own."""


class Description(NamedTuple):
    """A network in a few characters: itself, what is around it or how it takes its input, its kind.

    `kind` stands in sentences: "deployed: a vision transformer".
    """

    name: str
    frame: str
    kind: str = "a network"


def _ignore(*_: object, **__: object) -> None:
    """Hear what nobody asked for."""


@dataclass(frozen=True)
class Task:
    """What networks are wanted for.

    `input_shape` is height, width and channels of the data; `budget` how many networks may be
    trained. `folder` is for what is too large for a plan. `ternary` asks for ternary weights where
    the family leaves a choice; `accuracy_table` names known accuracies to use instead of shipped
    ones. `progress` is called with a fraction and a note, `log` with an event and details.
    """

    device: "Device"
    limits: "Limits"
    input_shape: tuple[int, int, int]
    classes: int
    budget: int
    seed: int
    folder: Path
    ternary: bool = False
    accuracy_table: Path | None = None
    accuracy_dataset: str = "cifar10"
    progress: Callable[[float, str], None] = _ignore
    log: Callable[..., None] = _ignore

    @property
    def latency_limit_ms(self) -> float | None:
        """The longest inference that keeps the limits of latency and of energy."""
        return self.limits.milliseconds_allowed(self.device.power.watt)


AnyFamilyNetwork = TypeVar("AnyFamilyNetwork", bound=Network)


class Family(ABC, Generic[AnyFamilyNetwork]):
    """One kind of networks. `plural` and `title` name them in sentences, the title at length.

    `headings` are those of a table of descriptions, `note` is what a report says of the family.
    `parameters` are what a study keeps of a network, each with its bounds; where there are none,
    studies know nothing of the family. `has_agents` says that language models can choose in it.
    """

    name: str
    plural: str
    title: str
    network: type[AnyFamilyNetwork]
    parameters: Mapping[str, tuple[int, int]] = {}
    has_agents: bool = False
    headings: tuple[str, str] = ("network", "around it")
    note: str = ""

    @abstractmethod
    def survey(self, task: Task) -> FamilyPlan:
        """Judge the networks that the task's data ask for, and choose the most promising.

        Raises:
            UnsupportedModelError: the family has no network for such data.
        """

    def propose(
        self, plan: FamilyPlan, task: Task, seen: Sequence[Observation], rank: int
    ) -> Proposal | None:
        """Return the next network to train, numbered `rank`; None where none is left.

        This is the first of the plan that was not chosen before; families that learn from results
        say more.
        """
        chosen = {one.architecture for one in seen}
        fresh = (one for one in plan.proposals if one.architecture not in chosen)
        found = next(fresh, None)
        return found and found.model_copy(update={"rank": rank})

    @abstractmethod
    def graph(self, network: AnyFamilyNetwork) -> "Graph":
        """Return what the trained network will be compiled from: shapes, without weights.

        Raises:
            WrongInputError: it cannot be built.
            UnsupportedModelError: it is too large for integer arithmetic.
        """

    @abstractmethod
    def train(self, network: AnyFamilyNetwork, training: "Training") -> "Trained":
        """Train it and write `FLOAT_MODEL` and `INT8_MODEL` into the training's folder.

        An interrupted training goes on from what it left in the folder.
        """

    @abstractmethod
    def describe(self, network: AnyFamilyNetwork) -> Description:
        """Write it in a few characters."""

    def parse(
        self, text: str, sizes: Mapping[str, int], ternary: bool | None
    ) -> AnyFamilyNetwork | None:
        """Return the network that a text of the command line names; None where it is of no network.

        Args:
            text: what the user wrote.
            sizes: `resolution`, `input_channels` and `classes`, and those of a skeleton.
            ternary: whether ternary weights are asked for; None where something is asked for that
                only trained networks have.

        Raises:
            WrongInputError: the text names no network that exists, or `ternary` is None.
        """
        del text, sizes, ternary
        return None

    def identity(self, network: AnyFamilyNetwork) -> dict[str, Any]:
        """Return what the run's log says of it."""
        return {self.name: network.model_dump()}

    def objection(self, network: AnyFamilyNetwork) -> str | None:
        """Return why it can learn nothing, None where it can.

        Raises:
            WrongInputError: it is no network of the family.
        """
        del network
        return None

    def remedies(
        self,
        network: AnyFamilyNetwork,
        device: "Device",
        boards: "Iterable[Device]",
        limits: "Limits",
    ) -> "tuple[Remedy, ...]":
        """Return what would fit where it does not: here, other boards."""
        from automcu.networks.estimate import other_boards

        return other_boards(network, device, boards, limits)

    def study_parameters(self, network: AnyFamilyNetwork) -> dict[str, int]:
        """Return the network's values of `parameters`; asked only of families that have some."""
        raise NotImplementedError(f"The family {self.name} has parameters but no values of them.")

    def from_study(self, parameters: Mapping[str, int]) -> AnyFamilyNetwork:
        """Return the network with these values; asked only of families with `parameters`."""
        raise NotImplementedError(f"The family {self.name} makes no network of its parameters.")


def propose(
    rank: int,
    network: Network,
    needs: Needs,
    score: float,
    *,
    prior: float | None = None,
    cell_index: int | None = None,
) -> Proposal:
    """Return a network that fits as the proposal of this number."""
    return Proposal(
        rank=rank,
        architecture=network,
        cell_index=cell_index,
        prior=prior,
        score=score,
        latency_ms=needs.latency_ms,
        flash_bytes=needs.flash_bytes,
        ram_bytes=needs.ram_bytes,
    )


_registered: dict[str, Family[Any]] = {}


def register(family: Family[Any]) -> None:
    """Add a family from outside the package; one of the same name takes its place."""
    _registered[family.name] = family


def resolutions(size: tuple[int, int]) -> tuple[int, ...]:
    """Return the data's own resolution and up to two halvings of it, the largest first."""
    resolution = min(max(size), LARGEST_RESOLUTION)
    found = [resolution]
    while len(found) < _RESOLUTION_STEPS and resolution // 2 >= SMALLEST_RESOLUTION:
        resolution //= 2
        found.append(resolution)
    return tuple(found)


def families() -> dict[str, Family[Any]]:
    """Return all families by name: those of the package first, then those of others."""
    return {**_found(), **_registered}


def families_named(name: str) -> dict[str, Family[Any]]:
    """Return the family of this name, or all for `EVERY_FAMILY`.

    Raises:
        WrongInputError: there is none of this name.
    """
    known = families()
    if name == EVERY_FAMILY:
        return known
    if name not in known:
        choices = ", ".join((*known, EVERY_FAMILY))
        raise WrongInputError(f"The family '{name}' is unknown. Use {choices}.")
    return {name: known[name]}


def family_of(network: Network) -> Family[Any]:
    """Return the family that a network is of.

    Raises:
        LookupError: its family was not registered.
    """
    for family in families().values():
        if type(network) is family.network:
            return family
    raise LookupError(f"{type(network).__name__} is a network of no registered family")


@cache
def _found() -> dict[str, Family[Any]]:
    package = import_module(__package__ or "")
    folders = sorted(one.name for one in pkgutil.iter_modules(package.__path__) if one.ispkg)
    shipped = [import_module(f"{package.__name__}.{folder}.family").FAMILY for folder in folders]
    return {family.name: family for family in (*shipped, *_offered())}


def _offered() -> Iterator[Family[Any]]:
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        try:
            yield entry.load()
        except (ImportError, AttributeError) as error:
            raise WrongInputError(
                f"The family of networks {entry.value} cannot be loaded ({error}). "
                "Mend or remove that package."
            ) from error
