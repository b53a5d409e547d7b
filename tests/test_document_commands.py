"""The commands of the template's own documents, typed in their order as they stand there.

A newcomer types them, with an empty home and a clone of the template. What `script/test` would run
is only collected: it would run itself.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.commands import ENVIRONMENT, require
from support.documents import typed
from support.git import commit_all, git
from support.ports import free_port
from support.project import Site
from support.template import READMES, ROOT, read
from support.waiting import eventually

DOCUMENTS = (*READMES.values(), "CONTRIBUTING.md")
TEMPLATE = "django-gunicorn-supervisor"
# The folder of the site, where its language is answered and all else is the default.
NAMES = {"en": "my_site", "fr": "mon_site"}
# What is not run, and why.
NOT_RUN = {
    "apt install git python3-venv": "root's; .ci/run installs them",
    "script/bench figures": "takes minutes, on a machine that does nothing else",
    "script/bench compare": "takes half an hour; bench/RESULTS.md is what it writes",
    "script/bench tasks": "takes minutes; bench/TASKS.md is what it writes",
    "script/bench servers": "takes a quarter of an hour; bench/SERVERS.md is what it writes",
    "script/lock --upgrade": "takes the versions of the day, whatever they are",
    "script/audit": "asks PyPI itself; test_audit.py has one of its own",
    "script/release 1.2.3": "passes every test first; test_script_release.py makes a version",
    "pre-commit install": "not among the requirements; test_documents.py reads its settings",
    'docker run --rm --init --privileged --volume "$PWD:/template" --volume /tmp'
    " --volume /root/.cache debian:12 /template/.ci/run": "test_documents.py finds it in the workflow",
}
# What the others show.
SHOWN = {
    "script/demo": "The site answers at http://127.0.0.1:",
    "script/test": "tests/test_life.py::",
    "script/test --all": "tests/booted/test_debian.py::",
    "script/demo stop": "Stopping ",
    'script/demo language=fr project_name="Mon site"': "Le site répond à http://127.0.0.1:",
    "cookiecutter gh:org/django-gunicorn-supervisor": "[14/14]",
    "./bootstrap.sh": "http://127.0.0.1:{port}/",
    "venv/bin/supervisord": "",
    **{
        f"{name}/venv/bin/python {name}/manage.py dumpdata --all --format jsonl"
        f" --output {name}/var/from_sqlite.jsonl": ""
        for name in NAMES.values()
    },
    "cookiecutter -o sqlite gh:org/django-gunicorn-supervisor": "[14/14]",
    "cookiecutter -o postgresql gh:org/django-gunicorn-supervisor database=postgresql": "[14/14]",
    **{
        f"diff -ruN sqlite/{name} postgresql/{name} | patch -p2 -d {name}": (
            "patching file docs/postgresql.md"
        )
        for name in NAMES.values()
    },
    "script/test --thorough": "tests/test_proof.py::",
    "script/lock": "",
    "script/screenshots": "$ script/demo language=fr",
    "script/test -n 2 tests/test_release.py": "tests/test_release.py::",
    "script/test -m 'not booted' -k nginx": "tests/test_nginx.py::",
    "script/lock --upgrade-package NAME": "",
}


def blocks(document: str) -> list[list[str]]:
    """The lines of each block and each command in the prose, without their comments."""
    texts = (text for _, text in typed(read(document)))
    return [[re.sub(" +# .*", "", line) for line in text.splitlines()] for text in texts]


def new_blocks(document: str) -> list[list[str]]:
    """Those that the documents before it have not."""
    before = DOCUMENTS[: DOCUMENTS.index(document)]
    known = [block for each in before for block in blocks(each)]
    return [block for block in blocks(document) if block not in known]


@dataclass
class Newcomer:
    """Somebody who has cloned the template, and the site that will be made."""

    home: Path
    environment: dict[str, str]
    # The number of the site's language in the first question.
    language: int
    site: Site

    @property
    def clone(self) -> Path:
        return self.home / TEMPLATE

    def type(self, line: str, folder: Path) -> str:
        """What the command shows; questions get their defaults."""
        answers, command = "", ["sh", "-c", line]
        if line.startswith("cookiecutter "):
            # The template is fetched anew, where it was before.
            again = "\n" if (self.home / ".cookiecutters").exists() else ""
            answers = f"{again}{self.language}\n" + 13 * "\n"
            command = ["script", "--quiet", "--return", "--command", line, "/dev/null"]
        done = subprocess.run(
            command,
            cwd=folder,
            env=self.environment,
            input=answers,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}"
        return done.stdout

    def type_block(self, block: list[str]) -> None:
        """The site is made beside the clone; the rest is typed in it."""
        makes_sites = any(line.startswith("cookiecutter ") for line in block)
        folder = self.home if makes_sites else self.clone
        for line in block:
            if line.startswith("cd "):
                folder /= line.removeprefix("cd ")
            elif line not in NOT_RUN:
                said = self.type(line, folder)
                assert SHOWN[line].format(port=self.site.port) in said, line


def lend_venvs(clone: Path, home: Path) -> None:
    """Gives the clone the packages of this run, so that script/make-venv has nothing to install."""
    version = "{}.{}".format(*sys.version_info)
    for lock in clone.glob("requirements*.txt"):
        venvs = home / ".cache" / TEMPLATE / "venvs" / clone.relative_to("/")
        venv = venvs / f"{lock.stem}-{version}"
        venv.mkdir(parents=True)
        for part in ("bin", "lib", "pyvenv.cfg"):
            (venv / part).symlink_to(Path(sys.prefix) / part)
        shutil.copy(lock, venv)


@pytest.fixture(params=DOCUMENTS)
def document(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def newcomer(document: str, folder: Path) -> Iterator[Newcomer]:
    """What stands behind `gh:` is in this home too."""
    require("git")
    ignored = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".hypothesis", ".*_cache")
    clone = Path(shutil.copytree(ROOT, folder / TEMPLATE, ignore=ignored))
    git(clone, "init", "--quiet")
    commit_all(clone)
    git(folder, "clone", "--quiet", "--bare", str(clone), f"hub/org/{TEMPLATE}.git")
    lend_venvs(clone, folder)

    french = document == READMES["fr"]
    port, web_port = free_port(), free_port()
    (folder / ".cookiecutterrc").write_text(
        f"abbreviations:\n  gh: file://{folder}/hub/{{0}}.git\n"
        f"default_context:\n  bind: 127.0.0.1:{port}\n  web_interface: 127.0.0.1:{web_port}\n"
    )
    environment = {
        **ENVIRONMENT,
        "HOME": str(folder),
        "PATH": f"{Path(sys.executable).parent}:{ENVIRONMENT['PATH']}",
        "TERM": "dumb",
        "LANG": "fr_FR.UTF-8" if french else "C.UTF-8",
        "PYTEST_ADDOPTS": "--collect-only --quiet",
    }
    site = Site(folder / NAMES["fr" if french else "en"], port, web_port)
    newcomer = Newcomer(folder, environment, 2 if french else 1, site)
    yield newcomer
    site.stop()
    newcomer.type("script/demo stop", clone)


def versions(folder: Path) -> dict[str, list[str]]:
    """Lock → the versions in it."""
    locks = folder.rglob("requirements*.txt")
    return {
        str(path.relative_to(folder)): re.findall(r"^\S+==\S+", path.read_text(), re.MULTILINE)
        for path in locks
    }


@pytest.mark.slow
def test_a_newcomer_can_type_every_command(newcomer: Newcomer, document: str) -> None:
    require("chromium")
    pictures = [
        path for path in (newcomer.clone / "pictures").iterdir() if path.name != "bench.svg"
    ]
    for path in pictures:
        path.unlink()
    locked = versions(newcomer.clone)
    for block in new_blocks(document):
        newcomer.type_block(block)
    if document in READMES.values():
        eventually(newcomer.site.answers)
    if document == READMES["en"]:
        assert [path for path in pictures if not path.is_file()] == []
    assert versions(newcomer.clone) == locked


def test_no_reason_is_stale() -> None:
    lines = {line for document in DOCUMENTS for block in blocks(document) for line in block}
    assert {line for line in lines if not line.startswith("cd ")} == NOT_RUN.keys() | SHOWN.keys()
