"""What is checked in under deploy/ is what `render` makes, and nothing else is there."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from seekserve.cli import cli
from tests.render.held import made

DEPLOY = Path(__file__).parents[2] / "deploy"
RENDERED = ("compose", "kubernetes", "slurm", "systemd")


def test_the_files_are_what_render_makes() -> None:
    """`make deploy` writes them anew."""
    there = {
        str(path.relative_to(DEPLOY)): path.read_text()
        for folder in RENDERED
        for path in (DEPLOY / folder).rglob("*")
        if path.is_file()
    }
    assert sorted(there) == sorted(made())
    assert [name for name, text in made().items() if there[name] != text] == []


@pytest.mark.parametrize(
    "name", ["compose/demo.yaml", "compose/flagship.head.yaml", "slurm/flagship/head.sh"]
)
def test_the_command_in_a_heading_makes_that_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (line,) = [x for x in made()[name].splitlines() if x.startswith("#   seekserve render")]
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, line.split()[2:])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "deploy" / name).read_text() == made()[name]


def test_no_file_names_a_path_of_this_machine() -> None:
    here = str(Path(__file__).parents[2])
    assert [name for name, text in made().items() if here in text] == []
