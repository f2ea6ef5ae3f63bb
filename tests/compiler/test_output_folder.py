"""A project is written where nothing of somebody else's is, and over itself while unedited."""

from pathlib import Path

import pytest

from automcu.compiler.project import begin_output, check_output_folder, end_output
from automcu.errors import WrongInputError


def write_generated(folder: Path) -> None:
    begin_output(folder)
    (folder / "model").mkdir(exist_ok=True)
    for suffix in (".c", ".h", "_layers.h", "_weights.c", "_weights.h"):
        (folder / f"model/model{suffix}").write_text(f"/* {suffix} */\n")
    (folder / "CMakeLists.txt").write_text("add_library(model)\n")
    (folder / "project.json").write_text('{"model_hash": "00"}')
    end_output(folder)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_generated(tmp_path)
    return tmp_path


def test_a_new_or_empty_folder_is_free(tmp_path: Path) -> None:
    check_output_folder(tmp_path)
    check_output_folder(tmp_path / "new/deep")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "thesis").write_text("years of work")
    with pytest.raises(WrongInputError, match="is a file"):
        check_output_folder(tmp_path / "thesis")


@pytest.mark.parametrize("name", ["thesis.txt", "model", "CMakeLists.txt", "project.json"])
def test_somebody_s_folder_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}")
    with pytest.raises(WrongInputError, match=f"not automcu's, such as {name}"):
        check_output_folder(tmp_path)


def test_a_project_is_written_over(project: Path) -> None:
    check_output_folder(project)
    write_generated(project)
    check_output_folder(project)


def test_a_project_of_an_older_version_is_written_over(project: Path) -> None:
    (project / ".automcu.json").unlink()
    check_output_folder(project)


@pytest.mark.parametrize("name", ["model/model.c", "model/model_weights.h", "CMakeLists.txt"])
def test_an_edited_file_is_not_lost(project: Path, name: str) -> None:
    (project / name).write_text("mine\n")
    with pytest.raises(WrongInputError, match="was edited since it was compiled"):
        check_output_folder(project)
    (project / name).unlink()
    check_output_folder(project)


def test_a_user_s_own_files_in_a_project_are_nobody_s_business(project: Path) -> None:
    (project / "model/mine.c").write_text("int one;\n")
    (project / "notes.txt").write_text("notes")
    end_output(project)
    (project / "model/mine.c").write_text("int two;\n")
    check_output_folder(project)


def test_a_project_that_was_interrupted_is_no_project_and_may_be_written_again(
    project: Path,
) -> None:
    begin_output(project)
    (project / "model/model.c").write_text("half")
    assert not (project / "project.json").exists()
    check_output_folder(project)
