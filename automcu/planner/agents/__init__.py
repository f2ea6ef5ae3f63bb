"""Language-model agents that propose only what can run."""

from typing import TYPE_CHECKING

from automcu.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from automcu.planner.agents.council import Council, instructions
    from automcu.planner.agents.disguise import Disguise
    from automcu.planner.agents.feasible_space import FeasibleSpace
    from automcu.planner.agents.intake import read_with_model
    from automcu.planner.agents.language_model import LanguageModel
    from automcu.planner.agents.local_server import LocalServer, start_local_server
    from automcu.planner.agents.records import (
        KEY_VARIABLES,
        AgentTurns,
        ModelSettings,
        ReporterView,
        Usage,
    )
    from automcu.planner.agents.reporter import plain_paragraph, report_in_words
else:
    __getattr__ = lazy_exports(
        __name__,
        {
            "council": ("Council", "instructions"),
            "disguise": ("Disguise",),
            "feasible_space": ("FeasibleSpace",),
            "intake": ("read_with_model",),
            "language_model": ("LanguageModel",),
            "local_server": ("LocalServer", "start_local_server"),
            "records": ("KEY_VARIABLES", "AgentTurns", "ModelSettings", "ReporterView", "Usage"),
            "reporter": ("plain_paragraph", "report_in_words"),
        },
    )

__all__ = [
    "KEY_VARIABLES",
    "AgentTurns",
    "Council",
    "Disguise",
    "FeasibleSpace",
    "LanguageModel",
    "LocalServer",
    "ModelSettings",
    "ReporterView",
    "Usage",
    "instructions",
    "plain_paragraph",
    "read_with_model",
    "report_in_words",
    "start_local_server",
]
