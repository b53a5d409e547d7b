"""Locks the requirements of the template and of the generated project, with hashes: see script/lock.

Of the project's there is one lock for all answers, with Jinja's line statements around what depends
on one. They are comments to uv and to Dependabot, which read all of it.
"""

import os
import re
import subprocess
import sys
import tempfile
from itertools import groupby, product
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from local_extensions.jinja import line_statements

PROJECT = ROOT / "{{cookiecutter.project_slug}}"
OPTIONS = "--universal --python-version 3.10 --generate-hashes --no-annotate"
PREFIX = "#%"
# A package with its hashes.
BLOCK = re.compile(r"^\S.*(?:\n +.*)*\n", re.MULTILINE)


class Answers(NamedTuple):
    """Those on which the packages depend."""

    database: str
    tasks: str


ALL = [Answers(*each) for each in product(("postgresql", "sqlite"), ("celery", "none"))]


def lock(folder: Path, name: str) -> None:
    """Writes NAME.txt from NAME.in; of a lock that is there, the versions stay unless --upgrade is given."""
    command = f"uv pip compile {OPTIONS} {name}.in -o {name}.txt"
    # The lock's header names the command: Dependabot finds --universal there.
    environment = {**os.environ, "UV_CUSTOM_COMPILE_COMMAND": command}
    words = [*command.split(), "--quiet", "--no-python-downloads", *sys.argv[1:]]
    subprocess.run(words, cwd=folder, env=environment, check=True)


def rendered(text: str, answers: Answers) -> str:
    template = Environment(keep_trailing_newline=True).from_string(line_statements(text))
    return template.render(cookiecutter=answers._asdict())


def lock_project(folder: Path) -> None:
    """The fullest lock comes first: the versions of the others are its own."""
    wanted, path = (PROJECT / f"requirements.{end}" for end in ("in", "txt"))
    before = path.read_text()
    locks: dict[Answers, list[str]] = {}
    for answers in ALL:
        (folder / wanted.name).write_text(rendered(wanted.read_text(), answers))
        if not locks:
            (folder / path.name).write_text(rendered(before, answers))
        lock(folder, "requirements")
        locks[answers] = BLOCK.findall((folder / path.name).read_text())
    path.write_text(joined(locks))


def joined(locks: dict[Answers, list[str]]) -> str:
    """All of them in one: the first has each package that another one has."""
    found: dict[str, dict[str, list[Answers]]] = {}
    for answers, blocks in locks.items():
        for block in blocks:
            variants = found.setdefault(block.partition("==")[0], {})
            variants.setdefault(block, []).append(answers)
    lines = []
    every = [each for variants in found.values() for each in variants.items()]
    for having, group in groupby(every, key=itemgetter(1)):
        text = "".join(block for block, _ in group)
        lines.append(text if len(having) == len(locks) else only_for(having, text))
    return "".join(lines)


def only_for(having: list[Answers], text: str) -> str:
    pairs = ", ".join(f'("{each.database}", "{each.tasks}")' for each in having)
    condition = f"(cookiecutter.database, cookiecutter.tasks) in [{pairs}]"
    return f"{PREFIX} if {condition}\n{text}{PREFIX} endif\n"


if __name__ == "__main__":
    for name in ("requirements", "requirements-test"):
        lock(ROOT, name)
    with tempfile.TemporaryDirectory() as made:
        lock_project(Path(made))
    lock(PROJECT, "requirements-dev")
    lock(PROJECT, "deploy/ansible/requirements")
