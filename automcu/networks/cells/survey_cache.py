"""Surveys that were made before: the same question to the same sources has the same answer.

An entry is named by a hash of everything that its answer depends on. One that is damaged, cut
short or of another version is made anew.
"""

import hashlib
import json
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from automcu.brief import NO_LIMITS, Limits
from automcu.mcu.profile import Device
from automcu.networks.cells.skeleton import Skeleton, Survey, SurveyOverview
from automcu.records import read_cached, resource_folder, write_cached
from automcu.toolchains import find_compiler

if TYPE_CHECKING:
    from automcu.networks.cells.accuracies import AccuracyTable

_PACKAGE = Path(__file__).parents[2]
# What decides about a cell's cost: nothing else in the package does.
_SOURCES = ("compiler", "cost", "mcu", "networks", "toolchains")
_SUFFIXES = {".py", ".json", ".npz"}
_FIRMWARE_SUFFIXES = {".c", ".h"}
_PRIOR_PACKAGE = "analog-nasbench"
_OVERVIEW = ".overview"
_Cached = TypeVar("_Cached", bound=SurveyOverview)


def cached_survey(
    device: Device,
    skeleton: Skeleton,
    folder: Path,
    limits: Limits = NO_LIMITS,
    prior: "AccuracyTable | None" = None,
) -> Survey:
    """Return `survey` of the same arguments, from `folder` where it is there and undamaged.

    Raises:
        WrongInputError: there are no latency figures or code sizes for the device.
        ToolError: the embedded accuracy table is missing.
    """
    path = folder / f"{_key(device, skeleton, limits, prior)}.survey"
    cached = _read(path, Survey)
    if cached is not None:
        return cached
    from automcu.networks.cells.survey import survey  # and with it the compiler: slow to import

    found = survey(device, skeleton, limits, prior=prior)
    write_cached(path, found.model_dump_json().encode())
    overview = found.model_dump_json(include=set(SurveyOverview.model_fields))
    write_cached(path.with_suffix(_OVERVIEW), overview.encode())
    return found


def cached_overview(
    device: Device,
    skeleton: Skeleton,
    folder: Path,
    limits: Limits = NO_LIMITS,
    prior: "AccuracyTable | None" = None,
) -> SurveyOverview:
    """Return the same without the thousands of cells that fit, which take longest to read.

    Raises:
        WrongInputError: there are no latency figures or code sizes for the device.
        ToolError: the embedded accuracy table is missing.
    """
    path = folder / f"{_key(device, skeleton, limits, prior)}{_OVERVIEW}"
    cached = _read(path, SurveyOverview)
    return cached or cached_survey(device, skeleton, folder, limits, prior=prior)


def _key(
    device: Device,
    skeleton: Skeleton,
    limits: Limits,
    prior: "AccuracyTable | None",
) -> str:
    asked = {
        "sources": _sources_digest(),
        "compiler": find_compiler(device.core).kind,
        "device": device.model_dump(mode="json"),
        "skeleton": skeleton.model_dump(),
        "limits": limits.model_dump(),
        "prior": hashlib.sha256(prior.accuracies.tobytes()).hexdigest()
        if prior is not None
        else None,
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


@cache
def _sources_digest() -> str:
    """A hash over the sources and tables that every survey depends on."""
    digest = hashlib.sha256()
    files = [
        path
        for name in _SOURCES
        for path in (_PACKAGE / name).rglob("*")
        if path.suffix in _SUFFIXES
    ]
    firmware = resource_folder("firmware")
    files += [path for path in firmware.rglob("*") if path.suffix in _FIRMWARE_SUFFIXES]
    for path in sorted(files):
        digest.update(f"{path.name}:{path.stat().st_size}\n".encode())
        digest.update(path.read_bytes())
    try:
        digest.update(metadata.version(_PRIOR_PACKAGE).encode())
    except metadata.PackageNotFoundError:
        digest.update(b"no prior")
    return digest.hexdigest()


def _read(path: Path, record: type[_Cached]) -> _Cached | None:
    body = read_cached(path)
    if body is None:
        return None
    try:
        return record.model_validate_json(body)
    except ValidationError:
        return None
