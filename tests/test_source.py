"""The template's own source, as the linters see it."""

import subprocess
import sys

import pytest
from conftest import ROOT, require

SCRIPTS = [str(path) for path in sorted((ROOT / "script").glob("*")) if path.suffix == ""]


@pytest.mark.parametrize("check", ["ruff check", "ruff format --check", "mypy"])
def test_python_is_clean(check: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *check.split()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_shell_is_clean() -> None:
    subprocess.run([require("shellcheck"), ROOT / ".ci" / "run", *SCRIPTS], check=True)
    subprocess.run([require("checkbashisms"), *SCRIPTS], check=True)
