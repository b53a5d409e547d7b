"""The template, its own documents, and Cookiecutter at work on it."""

import shutil
import subprocess
import sys
from pathlib import Path

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
