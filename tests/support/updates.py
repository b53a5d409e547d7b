"""Versions of the template, sites that they made, and what their chapter on updates has one type."""

import json
import re
import shutil
import subprocess
from pathlib import Path

from local_extensions.jinja import template_version

from .commands import WITH_UV, lack
from .documents import typed
from .git import GIT_AUTHOR, commit_all, git
from .template import PARTS, ROOT, cookiecutter

TEMPLATE = "https://github.com/org/django-gunicorn-supervisor"
# Of a conflict.
MARKS = re.compile(r"^(?:<{7}|={7}|>{7}).*\n", re.MULTILINE)
# What comes after this folder, in the tests.
NEXT = "1000.0.0"
# A file that owners change, and the rule with which the next version ends it.
CONTESTED = "pages/static/pages/site.css"
NEXT_RULE = ".next { color: teal; }\n"


def versions() -> dict[str, str]:
    """Version, or name of a state before the first one → its commit, as versions.txt has them."""
    lines = (ROOT / "versions.txt").read_text().splitlines()
    words = [line.split() for line in lines if not line.startswith("#")]
    return {line[0]: line[1] for line in words if len(line) == 2}


def clone_of_the_template(folder: Path) -> Path:
    """With its history, and what this folder has now as the last commit; Cookiecutter wants .git."""
    clone = folder / "history.git"
    git(folder, "clone", "--quiet", "--shared", str(ROOT), str(clone))
    for commit in versions().values():
        known = ["git", "-C", str(clone), "cat-file", "-e", commit]
        if subprocess.run(known, check=False).returncode:
            lack(f"this clone of the template lacks the commit {commit}: take a whole one")
    for part in PARTS:
        if (clone / part).is_dir():
            shutil.rmtree(clone / part)
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / part, clone / part, ignore=ignored)
        else:
            shutil.copy(ROOT / part, clone / part)
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--allow-empty", "--message=now")
    return clone


def begin_next(clone: Path) -> None:
    """Commits a next version: the last one may be this folder itself, but for its name."""
    path = clone / "versions.txt"
    path.write_text(path.read_text().replace(f"\n{template_version()}\n", f"\n{NEXT}\n", 1))
    with (clone / "{{cookiecutter.project_slug}}" / CONTESTED).open("a") as css:
        css.write(NEXT_RULE)
    commit_all(clone)


def make(template: Path, commit: str, folder: Path, **answers: str) -> Path:
    """A site as Cookiecutter made it from this commit, in a repository of its own."""
    words = [f"{name}={value}" for name, value in answers.items()]
    done = cookiecutter(folder, f"file://{template}", "--no-input", "--checkout", commit, *words)
    assert done.returncode == 0, done.stderr
    (site,) = {path.parent for path in folder.glob("*/manage.py")}
    git(site, "init", "--quiet", "--initial-branch", "main")
    commit_all(site)
    return site


def commands(site: Path, start: str) -> list[str]:
    """The lines of the block in the site's chapter that begins so."""
    texts = [text for kind, text in typed((site / "docs/updates.md").read_text()) if kind == "sh"]
    (block,) = (text for text in texts if text.startswith(start))
    return block.splitlines()


def type_lines(folder: Path, lines: list[str], template: Path, check: bool = True) -> str:
    """What they say, of which each must succeed unless told otherwise; the template is its clone."""
    script = "\n".join(lines).replace(TEMPLATE, f"file://{template}")
    done = subprocess.run(
        ["sh", "-ec" if check else "-c", script],
        cwd=folder,
        env={**WITH_UV, **GIT_AUTHOR, "HOME": str(folder.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert not check or done.returncode == 0, f"{script}\n{done.stdout}"
    return done.stdout


def answered(line: str, answers: dict[str, str]) -> str:
    """One of cruft's commands, its questions answered on the command line."""
    return f"{line} --no-input --extra-context '{json.dumps(answers)}'"


def keep_both(site: Path) -> None:
    """Decides each conflict: what the owner has, then what the template has."""
    for name in type_lines(site, ["git grep --name-only '^<<<<<<<'"], site, False).splitlines():
        path = site / name
        path.write_text(MARKS.sub("", path.read_text()))
