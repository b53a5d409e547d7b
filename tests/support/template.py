"""The template, its own documents, and Cookiecutter at work on it."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cookiecutter import generate
from jinja2 import Environment

from .commands import ENVIRONMENT, Run

ROOT = Path(__file__).resolve().parents[2]
PARTS = (
    "cookiecutter.json",
    "hooks",
    "local_extensions",
    "templates",
    "versions.txt",
    "{{cookiecutter.project_slug}}",
)
LANGUAGES = ("en", "fr")
DATABASES = ("sqlite", "postgresql")
TASKS = ("none", "celery")
READMES = {"en": "README.md", "fr": "README.fr.md"}


def read(name: str) -> str:
    """A file of the template."""
    return (ROOT / name).read_text(encoding="utf-8")


def copy_template(folder: Path) -> Path:
    """The template without its tests and the like: Cookiecutter copies the whole folder each time."""
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / part, ignore=ignored)
        else:
            shutil.copy(source, folder / part)
    return folder


def once_for_each_text(compile_anew: Callable[..., Any]) -> Callable[..., Any]:
    """Jinja's compiler for one template, which asks it once for each of its texts."""
    known: dict[tuple[str | None, str], Any] = {}

    def compile(self: Environment, source: str, name: str | None = None, *more: Any) -> Any:
        if (name, source) not in known:
            known[name, source] = compile_anew(self, source, name, *more)
        return known[name, source]

    return compile


COMPILE = once_for_each_text(Environment.compile)
IS_BINARY = cache(generate.is_binary)


@contextmanager
def read_once() -> Iterator[None]:
    """Cookiecutter in this process reads each file of the template once, not for each project.

    Jinja gets the same texts each time; what the answers are, it learns only afterwards.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Environment, "compile", COMPILE)
        patch.setattr(generate, "is_binary", IS_BINARY)
        yield


def cookiecutter(folder: Path, *arguments: str, **environment: str) -> Run:
    """The command as a user types it in this folder, with a home of its own there."""
    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    variables = {**ENVIRONMENT, "HOME": str(home), "TMPDIR": str(home), **environment}
    return subprocess.run(
        [sys.executable, "-m", "cookiecutter", *arguments],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
    )
