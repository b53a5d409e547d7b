"""The generated README: true in both languages, and each of its commands does what it says.

A reader plays it through on one real site: first the lesson from its first command to its last, then
the troubles, each of which is made to happen and mended as the lesson says.
"""

import ast
import configparser
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import test_nginx
from conftest import ENVIRONMENT, LANGUAGES, Project, Run, Site, eventually, free_port, require
from lesson import Lesson, shown
from test_bootstrap import PYTHON, SYSTEM, USER, as_root
from test_release import AS_USER

__all__ = ["as_root"]  # a fixture

certificate = test_nginx.certificate

# Blocks that need a server or a second machine: what they run, and where that is tested.
ELSEWHERE = {
    "sudo deploy/release.sh\n": "root's: tests/booted; as its owner, with --into: here",
    "sudo apt install python3-venv": "root's: tests/booted installs on Debian 12 and 13",
    "sudo service supervisord status\n": "of an installed site: tests/booted",
    "sudo apt install certbot": "a certificate takes a public name; https.conf: test_nginx.py",
    "ssh -N": "from another machine: the trouble of the web interface, here",
}
INTERACTIVE = {
    "venv/bin/python manage.py createsuperuser\n": {
        "Username": "reader",
        "Email address": "reader@example.com",
        "Password:": "I like gunicorns",
        "Password (again)": "I like gunicorns",
    }
}


@pytest.fixture(scope="module", params=["127.0.0.1:9001", "off"], ids=["web", "no-web"])
def both(request: pytest.FixtureRequest, bake: Callable[..., Project]) -> dict[str, Project]:
    """The same project in both languages."""
    answers = {
        "project_slug": "lesson",
        "web_interface": request.param,
        "author_name": "Zoé",
    }
    return {language: bake(language=language, **answers) for language in LANGUAGES}


def lesson_of(project: Project) -> Lesson:
    return Lesson((project.path / "README.md").read_text())


# What it says


def test_both_languages_say_the_same(both: dict[str, Project]) -> None:
    english, french = (lesson_of(both[language]) for language in LANGUAGES)
    assert len(english.sections) > 30
    assert [each.level for each in french.sections] == [each.level for each in english.sections]
    for ours, theirs in zip(french.sections, english.sections, strict=True):
        assert ours.blocks == theirs.blocks, ours.title
        assert sorted(ours.spans) == sorted(theirs.spans), ours.title
        assert ours.links == theirs.links, ours.title
        assert len(ours.prose) == len(theirs.prose), ours.title


def test_french_is_written_with_french_typography(both: dict[str, Project]) -> None:
    for section in lesson_of(both["fr"]).sections:
        for prose in section.prose:
            assert not re.search("[^\u202f][;!?]", prose), prose
            assert not re.search("[^\u00a0]:", prose), prose
            assert not re.search("«[^\u00a0]|[^\u00a0]»", prose), prose
            assert not re.search("['\"]|[.]{3}|oeu|Etat|Ecri[vt]|^A ", prose), prose
        for code in (*section.spans, *(text for _, text in section.blocks)):
            assert not re.search("[\u202f\u00a0’«»]", code), code


@pytest.mark.parametrize("language", LANGUAGES)
def test_quoted_files_are_the_files(both: dict[str, Project], language: str) -> None:
    deploy = both[language].path / "deploy"
    files = {
        "ini": (deploy / "supervisord.conf").read_text().splitlines(),
        "nginx": [line.strip() for line in (deploy / "nginx" / "site.conf").open()],
    }
    quoted = [
        (kind, line)
        for section in lesson_of(both[language]).sections
        for kind, text in section.blocks
        if kind in files
        for line in text.splitlines()
    ]
    assert [(kind, line) for kind, line in quoted if line not in files[kind]] == []
    # Nothing of supervisord.conf is left out.
    settings = [line for line in files["ini"] if line and not line.startswith(";")]
    assert {line for kind, line in quoted if kind == "ini" and line} == set(settings)


def test_each_setting_has_its_reason(both: dict[str, Project]) -> None:
    """In the part of supervisord.conf and of gunicorn.conf.py: these settings and no others."""
    project = both["en"]
    lesson = lesson_of(project)
    config = configparser.RawConfigParser()
    config.read(project.path / "deploy" / "supervisord.conf")
    gunicorn = ast.parse((project.path / "deploy" / "gunicorn.conf.py").read_text())
    ours = {
        node.id
        for node in ast.walk(gunicorn)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }

    titles = [section.title for section in lesson.sections]
    part = slice(titles.index("How supervisorctl reaches it"), titles.index("gunicorn's own settings"))
    reasons = {
        span
        for section in lesson.sections[part]
        for line in section.prose
        if line.startswith("x")
        for span in section.spans
    }
    assert {option for section in config.sections() for option in config[section]} <= reasons
    table = {name for name in lesson.section("gunicorn's own settings").spans if name.isidentifier()}
    assert table == ours - {"set_parent_death_signal"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_it_names_exists(both: dict[str, Project], language: str) -> None:
    project = both[language]
    written = "\n".join(
        (project.path / name).read_text()
        for name in ("lesson/settings.py", ".env.example", "deploy/gunicorn.conf.py")
    )
    made_later = {"venv", ".env", "releases", "var", "web_interface.conf", "wheels"}
    spans = lesson_of(project).spans
    paths = {
        found
        for span in spans
        for found in re.findall(r"(?:^|\s)((?:\./)?[\w.]+/[\w./-]*|[\w]+\.(?:sh|txt|py|conf))", span)
    }
    assert len(paths) > 15
    for path in paths:
        name = path.removeprefix("./").rstrip("/")
        there = (project.path / name, *project.path.rglob(Path(name).name))
        assert {*Path(name).parts} & made_later or any(file.exists() for file in there), path
    names = {found for span in spans for found in re.findall(r"\b[A-Z]{4,}[A-Z_]*\b", span)}
    names -= {"FATAL", "EACCES", "DISCOUNT"}
    assert "ALLOWED_HOSTS" in names
    assert [name for name in names if name not in written] == []


# What it does


@dataclass
class Reader(Site):
    """Somebody with a home folder, who types what stands in the lesson. As root: another user."""

    @property
    def home(self) -> Path:
        return self.path.parent

    @property
    def environment(self) -> dict[str, str]:
        return {**ENVIRONMENT, "HOME": str(self.home), "PATH": f"{self.home}/uv:{SYSTEM}"}

    def run(self, *command: str, **options: Any) -> Run:
        options.setdefault("env", self.environment)
        return super().run(*AS_USER, *command, **options)

    def type(self, block: str, check: bool = True) -> str:
        """What the commands show; the next ones wait until all that was shut down is gone."""
        if "port = /" in block:
            shell = self.in_a_net_of_its_own(block)
        else:
            shell = self.run("sh", "-ec", block, check=check)
        if "shutdown" in block:
            eventually(lambda: replace(self, path=self.home).processes() == [], 50)
        return shell.stdout + shell.stderr

    def in_a_net_of_its_own(self, block: str) -> Run:
        """What opens a port to every network does so where there is but this machine."""
        root = () if AS_USER else ("--map-root-user",)
        alone = ("unshare", *root, "--net", "sh", "-ec", 'ip link set lo up; exec "$@"', "sh")
        command = (*alone, *AS_USER, "sh", "-ec", block)
        return Project.run(self, *command, env=self.environment)

    def answer(self, command: str, answers: dict[str, str]) -> None:
        """Types the answers to a command's questions, on a terminal."""
        terminal = ("script", "--quiet", "--return", "--command", command, "/dev/null")
        with subprocess.Popen(
            [*AS_USER, *terminal],
            cwd=self.path,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        ) as process:
            assert process.stdin
            assert process.stdout
            said = b""
            for question, answer in answers.items():
                while question.encode() not in said:
                    letter = process.stdout.read(1)
                    assert letter, said
                    said += letter
                process.stdin.write(f"{answer}\n".encode())
            process.stdout.read()
        assert process.returncode == 0, said

    def status(self) -> str:
        run = self.supervisorctl("status")
        return run.stdout + run.stderr

    def logs(self) -> str:
        return "".join(log.read_text() for log in self.path.glob("var/log/gu-*.log"))

    def change(self, file: str, old: str, new: str) -> None:
        path = self.path / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def made(bake: Callable[..., Project], short_folder: Path) -> Iterator[Reader]:
    """A project as a newcomer has it: nothing of it was run."""
    home = Path(tempfile.mkdtemp(prefix="r", dir=short_folder))
    port, web_port = free_port(), free_port()
    project = bake(
        project_slug="lesson",
        install_dir=f"{home}/lesson",
        domain_name=test_nginx.DOMAIN,
        bind=f"127.0.0.1:{port}",
        web_interface=f"127.0.0.1:{web_port}",
    )
    shutil.copytree(project.path, home / "lesson")
    (home / "uv").mkdir()
    shutil.copy(Path(sys.executable).parent / "uv", home / "uv")
    home.chmod(0o755)
    if AS_USER:
        subprocess.run(["chown", "-R", USER, home], check=True)
    reader = Reader(home / "lesson", port, web_port)
    yield reader
    for config in home.glob("*/current/deploy/supervisord.conf"):
        reader.supervisorctl("-c", str(config), "shutdown")
    reader.stop()


def lines_of(lesson: Lesson) -> Iterator[tuple[str, str]]:
    """Each block of commands before the troubles, and what the lesson shows of its output."""
    titles = [section.title for section in lesson.sections]
    blocks = [
        block
        for section in lesson.sections[: titles.index("Troubles")]
        for block in section.blocks
        if block[0] in ("sh", "text")
    ]
    for (kind, text), (following, sample) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if kind == "sh":
            yield text, sample if following == "text" else ""


def test_the_commands_run_in_order_as_written(made: Reader) -> None:
    listed = set()
    for block, sample in lines_of(lesson_of(made)):
        elsewhere = [start for start in ELSEWHERE if block.startswith(start)]
        listed.update(elsewhere)
        if elsewhere:
            continue
        if block in INTERACTIVE:
            made.answer(block.strip(), INTERACTIVE[block])
            continue
        output = made.type(block, check=not sample)
        if sample and not shown(sample, output):
            # Slower machines than the reader's.
            last = block.splitlines()[-1]
            eventually(lambda last=last, sample=sample: shown(sample, made.type(last, False)), 60)
    assert listed == set(ELSEWHERE)
    assert made.answers()
    assert len(made.masters()) == 2
