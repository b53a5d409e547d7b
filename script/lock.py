"""Locks the requirements of the template and of the generated project, with hashes: see script/lock.

Of the project's there is one lock for all answers, with Jinja's line statements around what depends
on one. They are comments to uv and to Dependabot, which read all of it.
"""

import os
import re
import subprocess
import sys
import tempfile
from difflib import SequenceMatcher
from pathlib import Path

from jinja2 import Environment

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from local_extensions.jinja import line_statements

PROJECT = ROOT / "{{cookiecutter.project_slug}}"
OPTIONS = "--universal --python-version 3.10 --generate-hashes --no-annotate"
PREFIX = "#%"
# A package with its hashes.
BLOCK = re.compile(r"^\S.*(?:\n +.*)*\n", re.MULTILINE)


def lock(folder: Path, name: str) -> None:
    """Writes NAME.txt from NAME.in; of a lock that is there, the versions stay unless --upgrade is given."""
    command = f"uv pip compile {OPTIONS} {name}.in -o {name}.txt"
    # The lock's header names the command: Dependabot finds --universal there.
    environment = {**os.environ, "UV_CUSTOM_COMPILE_COMMAND": command}
    words = [*command.split(), "--quiet", "--no-python-downloads", *sys.argv[1:]]
    subprocess.run(words, cwd=folder, env=environment, check=True)


def rendered(text: str, database: str) -> str:
    template = Environment(keep_trailing_newline=True).from_string(line_statements(text))
    return template.render(cookiecutter={"database": database})


def lock_project(folder: Path) -> None:
    """The lock with PostgreSQL comes first; that of SQLite is a part of it."""
    wanted, path = (PROJECT / f"requirements.{end}" for end in ("in", "txt"))
    before, locks = path.read_text(), {}
    for database in ("postgresql", "sqlite"):
        (folder / wanted.name).write_text(rendered(wanted.read_text(), database))
        if database == "postgresql":
            (folder / path.name).write_text(rendered(before, database))
        lock(folder, "requirements")
        locks[database] = (folder / path.name).read_text()
    path.write_text(joined(locks["postgresql"], locks["sqlite"]))


def joined(postgresql: str, sqlite: str) -> str:
    """Both locks in one."""
    one, other = BLOCK.findall(postgresql), BLOCK.findall(sqlite)
    lines = []
    for change, a, b, c, d in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if change == "equal":
            lines += one[a:b]
            continue
        lines.append(f'{PREFIX} if cookiecutter.database == "postgresql"\n')
        lines += one[a:b]
        if change == "replace":
            lines += [f"{PREFIX} else\n", *other[c:d]]
        lines.append(f"{PREFIX} endif\n")
    return "".join(lines)


if __name__ == "__main__":
    for name in ("requirements", "requirements-test"):
        lock(ROOT, name)
    with tempfile.TemporaryDirectory() as made:
        lock_project(Path(made))
    lock(PROJECT, "requirements-dev")
