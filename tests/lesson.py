"""The generated README as its tests read it, and somebody who does what it says."""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import test_nginx
from conftest import ENVIRONMENT, Project, Run, Site, eventually, free_port
from markdown_it import MarkdownIt
from markdown_it.token import Token
from test_bootstrap import SYSTEM, USER
from test_release import AS_USER


@dataclass
class Section:
    """A heading, and what stands between it and the next."""

    level: str
    title: str = ""
    # Language ("sh", "text", …) and text of each block of code.
    blocks: list[tuple[str, str]] = field(default_factory=list)
    spans: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    # Each paragraph or cell of a table, with x for what is code or a link.
    prose: list[str] = field(default_factory=list)

    def block(self, language: str) -> str:
        """The only block of this language."""
        (text,) = (text for found, text in self.blocks if found == language)
        return text


@dataclass
class Lesson:
    """A README."""

    text: str

    @cached_property
    def sections(self) -> list[Section]:
        sections: list[Section] = []
        tokens = MarkdownIt("commonmark").enable("table").parse(self.text)
        for before, token in zip([None, *tokens], tokens, strict=False):
            if token.type == "heading_open":
                sections.append(Section(token.tag))
            elif token.type == "fence":
                sections[-1].blocks.append((token.info, token.content))
            elif token.type == "inline":
                prose = _inline(token.children or [], sections[-1])
                sections[-1].prose.append(prose)
                if before and before.type == "heading_open":
                    sections[-1].title = prose
        return sections

    def section(self, title: str) -> Section:
        (found,) = (section for section in self.sections if section.title == title)
        return found

    @property
    def spans(self) -> list[str]:
        return [span for section in self.sections for span in section.spans]


def _inline(tokens: list[Token], section: Section) -> str:
    """The prose of a paragraph; its code and links go to the section."""
    prose, inside_link = "", False
    for token in tokens:
        if token.type == "code_inline":
            section.spans.append(token.content)
        elif token.type == "link_open":
            section.links.append(str(token.attrs["href"]))
        inside_link = token.type == "link_open" or (inside_link and token.type != "link_close")
        if token.type == "softbreak":
            prose += " "
        elif token.type == "text" and not inside_link:
            prose += token.content
        elif token.type in ("code_inline", "link_close"):
            prose += "x"
    return prose


def shown(expected: str, output: str) -> bool:
    """Whether every line of a sample is in the output; numbers, ages and `…` may be others."""
    lines = map(re.escape, expected.splitlines())
    return all(re.search(_free(line), output) for line in lines)


def _free(line: str) -> str:
    line = re.sub(r"uptime\\ [\d:]+", r"uptime\\ \\S+", line)
    line = re.sub(r"(pid\\ |pid=|fd=)\d+", r"\1\\d+", line)
    return line.replace("…", r"\S*")


def lesson_of(project: Project) -> Lesson:
    return Lesson((project.path / "README.md").read_text())


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


def serves(site: Reader) -> bool:
    eventually(lambda: len(site.masters()) == 2, 30)
    return site.answers()
