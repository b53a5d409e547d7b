"""script/make-venv: the venvs of script/ stand outside the template, and follow their locks."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.commands import ENVIRONMENT, Run
from support.template import ROOT


def make_venv(clone: Path, lock: str) -> Run:
    """The command in this clone, with a home beside it."""
    path = f"{Path(sys.executable).parent}:{ENVIRONMENT['PATH']}"
    return subprocess.run(
        [clone / "script" / "make-venv", lock],
        env={**ENVIRONMENT, "HOME": str(clone.parent / "home"), "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_venv_is_made_anew_when_its_lock_changes(folder: Path) -> None:
    clone = folder / "clone"
    (clone / "script").mkdir(parents=True)
    shutil.copy(ROOT / "script" / "make-venv", clone / "script")
    (clone / "one.txt").write_text("# no packages\n")
    before = sorted(clone.rglob("*"))

    first = make_venv(clone, "one.txt")
    assert first.returncode == 0, first.stderr
    venv = Path(first.stdout.strip())
    assert venv.is_relative_to(folder / "home" / ".cache" / "django-gunicorn-supervisor")
    assert venv.name == "one-{}.{}".format(*sys.version_info)
    subprocess.run([venv / "bin" / "python", "-m", "pip", "--version"], check=True)
    assert "Making " in first.stderr

    (venv / "old").touch()
    again = make_venv(clone, "one.txt")
    assert (again.stdout, again.stderr) == (first.stdout, "")

    (clone / "one.txt").write_text("# still none\n")
    renewed = make_venv(clone, "one.txt")
    assert (renewed.returncode, renewed.stdout) == (0, first.stdout)
    assert not (venv / "old").exists()
    assert sorted(clone.rglob("*")) == before
