"""Git as somebody with a name uses it."""

import subprocess
from pathlib import Path

from .commands import ENVIRONMENT

GIT_AUTHOR = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Test"), ("EMAIL", "test@example.com"))
}


def git(folder: Path, *arguments: str) -> str:
    environment = {**ENVIRONMENT, **GIT_AUTHOR, "HOME": str(folder)}
    return subprocess.check_output(["git", *arguments], cwd=folder, env=environment, text=True)


def commit_all(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=A change")
