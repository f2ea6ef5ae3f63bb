"""The whole road, from a brief to a report, and the parts of it that can be entered alone."""

from automcu.boards.project import project_folder
from automcu.pipeline.board_test_set import load_test_set
from automcu.pipeline.calibrated import Calibrated, calibrate_model_file
from automcu.pipeline.design import design
from automcu.pipeline.job import Job
from automcu.pipeline.model_files import (
    compile_model_file,
    import_model_file,
    write_program,
)
from automcu.pipeline.narrowing import Narrowing, narrow_model_file
from automcu.pipeline.progress import Progress, Silent
from automcu.pipeline.records import Deployment, Run, Settings, TrainedCandidate
from automcu.pipeline.run_folder import RunFolder
from automcu.pipeline.understanding import read_with_agent

__all__ = [
    "Calibrated",
    "Deployment",
    "Job",
    "Narrowing",
    "Progress",
    "Run",
    "RunFolder",
    "Settings",
    "Silent",
    "TrainedCandidate",
    "calibrate_model_file",
    "compile_model_file",
    "design",
    "import_model_file",
    "load_test_set",
    "narrow_model_file",
    "project_folder",
    "read_with_agent",
    "write_program",
]
