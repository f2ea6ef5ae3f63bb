"""`automcu design`: from a sentence to a network that was run on the board."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automcu.brief import Draft, describe
from automcu.cli.answer import Answer, Debug, Json, plain_console, print_text, respond
from automcu.cli.options import (
    AccuracyDatasetName,
    AccuracyTablePath,
    MaxEnergy,
    MaxFlash,
    MaxLatency,
    MaxRam,
    accuracy_dataset_named,
)
from automcu.cli.progress import TerminalProgress
from automcu.errors import EXIT_DONE, EXIT_GOAL_MISSED, WrongInputError
from automcu.report.wording import understood_table

if TYPE_CHECKING:
    from automcu.run.records import Settings

_OF_THE_BRIEF = (
    *("device", "data", "family", "max_latency_ms", "max_energy", "max_ram", "max_flash"),
    "min_accuracy",
)
_OF_THE_CALL = ("sentence", "brief", "out", "resume", "json", "debug")
_OF_THE_MODEL = ("model", "base_url", "max_tokens", "max_cost", "input_price", "output_price")


def design(
    context: typer.Context,
    sentence: Annotated[
        str, typer.Argument(metavar="[BRIEF]", help="What you want, in one sentence.")
    ] = "",
    brief: Annotated[
        Path | None, typer.Option("--brief", metavar="FILE.toml", help="The same without prose.")
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", "-d", help="Board: id, alias or MCU.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="NAME|PATH", help="Data set, image folder or .npz file."),
    ] = None,
    family: Annotated[str | None, typer.Option("--family", metavar="cnn|vit|auto")] = None,
    max_latency_ms: MaxLatency = None,
    max_energy: MaxEnergy = None,
    max_ram: MaxRam = None,
    max_flash: MaxFlash = None,
    min_accuracy: Annotated[
        str | None, typer.Option("--min-accuracy", metavar="SHARE", help='Goal, as in "97 %".')
    ] = None,
    budget: Annotated[
        int | None, typer.Option("--budget", min=1, help="How many networks to train (3).")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option("--weights", metavar="8|ternary", help="Weights of a CNN; ViTs are ternary."),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="The same seed, the same run.")] = None,
    training_seconds: Annotated[
        float | None,
        typer.Option("--training-time", metavar="SECONDS", min=1, help="At most, per network."),
    ] = None,
    board: Annotated[
        str | None,
        typer.Option("--board", metavar="virtual|PORT", help="Virtual (default), or a port."),
    ] = None,
    accuracy_table: AccuracyTablePath = None,
    accuracy_dataset: AccuracyDatasetName = None,
    planner: Annotated[
        str | None,
        typer.Option("--planner", metavar="offline|llm|local", help="Who chooses what is trained."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Language model, or the GGUF file of a local one.")
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option("--base-url", metavar="URL", help="Its server, as http://localhost:11434/v1."),
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", min=1, help="For all agents (200,000).")
    ] = None,
    max_cost: Annotated[
        float | None,
        typer.Option("--max-cost", min=0, help="Money for all agents, in the prices' currency."),
    ] = None,
    input_price: Annotated[
        float | None,
        typer.Option("--input-price", min=0, help="Of a million tokens that the model reads."),
    ] = None,
    output_price: Annotated[
        float | None,
        typer.Option("--output-price", min=0, help="Of a million tokens that it writes."),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option("--study", metavar="URL", help="Share what is learned, as sqlite:///all.db."),
    ] = None,
    executor: Annotated[
        str | None, typer.Option("--executor", metavar="local|ray", help="Where networks train.")
    ] = None,
    parallel: Annotated[
        int | None, typer.Option("--parallel", min=1, help="Networks chosen and trained at once.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="RUN", help="Folder of the run.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in --out, or in the folder given.")
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Design a network for a board: what fits, training, firmware, and a run on the board."""
    # Every option has its value under its own name there, so that none is listed again.
    given = {name: value for name, value in context.params.items() if value is not None}
    flags = {name: given.pop(name) for name in _OF_THE_BRIEF if name in given}
    settings = {name: value for name, value in given.items() if name not in _OF_THE_CALL}
    if resume and out is None and sentence:
        out, sentence = Path(sentence), ""
    run = out or _free_folder()
    respond(
        lambda: _design(sentence, brief, flags, settings, run, resume),
        json,
        debug,
        lambda: _what_is_left(run),
    )


def _what_is_left(run: Path) -> str:
    """What a stopped run left: it can be continued once its brief is in its folder."""
    # Not asked of RunFolder: its module takes time to import, for which a stop need not wait.
    try:
        begun = (run / "brief.json").is_file()
    except OSError:  # such as a path that is too long
        begun = False
    if not begun:
        return "The run had not begun: there is nothing to resume."
    command = f"automcu design --resume {shlex.quote(str(run))}"
    return f"Everything so far is kept; continue with: {command}"


def _design(
    sentence: str,
    file: Path | None,
    flags: dict[str, Any],
    settings: dict[str, Any],
    path: Path,
    resume: bool,
) -> Answer:
    # torch and what else a run needs take seconds to import, for which wrong use need not wait.
    chosen = _settings(settings)
    wanted = None
    if not resume or sentence or file or flags:
        from automcu.run.agents import read_brief

        wanted = read_brief(
            sentence, path, file, flags, chosen, notify=_notify, understood=_show_understood
        )
    from automcu.cli.runs import run_document, run_shown
    from automcu.run.design import design

    with TerminalProgress() as progress:
        run = design(wanted, path, chosen, resume=resume, progress=progress)
    return Answer(
        run_document(run, path),
        run_shown(run, path),
        EXIT_GOAL_MISSED if run.findings.missed else EXIT_DONE,
        " ".join(run.findings.missed) or None,
    )


def _notify(sentence: str) -> None:
    print_text(sentence, error=True)


def _show_understood(draft: Draft) -> None:
    plain_console(stderr=True).print(understood_table(describe(draft)))


def _settings(named: dict[str, Any]) -> "Settings | None":
    from automcu.run.records import Settings

    if named.get("weights") not in (None, "8", "ternary"):
        raise WrongInputError(
            f"Networks cannot be trained for weights of {named['weights']!r}. Use --weights 8 or "
            "ternary; automcu compile --weights reduces the bits of a trained model."
        )
    if "accuracy_table" in named:
        named["accuracy_table"] = str(named["accuracy_table"].absolute())
    if "accuracy_dataset" in named:
        named["accuracy_dataset"] = accuracy_dataset_named(named["accuracy_dataset"])
    if named.get("executor") not in (None, "local", "ray"):
        raise WrongInputError(f"{named['executor']!r} is no executor. Use --executor local or ray.")
    named = _with_model(named)
    return Settings(**named) if named else None


def _with_model(named: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with what describes the language model in one record.

    Raises:
        WrongInputError: the planner is unknown, has no model, or no use for one.
    """
    name = named.get("planner")
    given = {key: named.pop(key) for key in _OF_THE_MODEL if key in named}
    if name not in (None, "offline", "llm", "local"):
        raise WrongInputError(f"{name!r} is no planner. Use --planner offline, llm or local.")
    if given and name not in ("llm", "local"):
        raise WrongInputError("Only agents use a language model. Add --planner llm or local.")
    if "max_cost" in given and not given.keys() & {"input_price", "output_price"}:
        raise WrongInputError(
            "What do tokens cost? Add --input-price and --output-price, for a million of them."
        )
    if name == "local":
        if "base_url" in given:
            raise WrongInputError(
                "A local model needs no server. Use --planner llm with --base-url."
            )
        return {**named, "model": {"model": "", **given}}
    if name == "llm" and "model" not in given:
        raise WrongInputError("Which language model? Name it with --model.")
    return {**named, "model": given} if given else named


def _free_folder() -> Path:
    """Return the first of runs/1, runs/2, ... that is not taken."""
    number = 1
    while (Path("runs") / str(number)).exists():
        number += 1
    return Path("runs") / str(number)
