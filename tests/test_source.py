"""The template's own source, as the linters see it."""

import re
import subprocess
import sys

import pytest
from support.commands import require
from support.template import ROOT

# Beside them Python may keep a folder of what it has compiled.
SCRIPTS = [
    str(path) for path in sorted((ROOT / "script").glob("*")) if path.is_file() and not path.suffix
]


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


def test_no_test_is_imported() -> None:
    """What tests share stands in tests/support; conftest.py gives fixtures."""
    wrong = re.compile(r"^ *(?:from|import) .*\b(?:test_\w+|conftest)\b.*", re.MULTILINE)
    files = (ROOT / "tests").rglob("*.py")
    assert [line for file in files for line in wrong.findall(file.read_text())] == []
