"""The generated README as its tests read it, and somebody who does what it says."""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from local_extensions.translations import NARROW_NO_BREAK_SPACE, NO_BREAK_SPACE

from .commands import AS_USER, ENVIRONMENT, SYSTEM, USER, Run
from .nginx import DOMAIN
from .ports import free_port
from .project import Project, Site
from .template import ROOT
from .waiting import eventually

# Code in a line of prose that is a whole command; a name alone is none.
COMMAND = re.compile(r"(?:apt|cookiecutter|docker|pip|pre-commit|ssh|sudo|[\w.~]*/\S+) \S")


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

    @property
    def links(self) -> list[str]:
        """Where links and pictures lead."""
        return [link for section in self.sections for link in section.links]

    def check_translation(self, english: "Lesson", in_french: Callable[[str], str]) -> None:
        """Asserts that this one says what the English one says, in the same places.

        `in_french` gives code, or a link, of the English one as the French one has it.
        """
        assert [each.level for each in self.sections] == [each.level for each in english.sections]
        for ours, theirs in zip(self.sections, english.sections, strict=True):
            blocks = [(kind, in_french(text)) for kind, text in theirs.blocks]
            assert ours.blocks == blocks, ours.title
            assert sorted(ours.spans) == sorted(map(in_french, theirs.spans)), ours.title
            assert ours.links == list(map(in_french, theirs.links)), ours.title
            assert len(ours.prose) == len(theirs.prose), ours.title

    def check_typography(self) -> None:
        """Asserts that its prose is written as French is, and that its code is not."""
        for section in self.sections:
            for prose in section.prose:
                assert faults(prose) == [], prose
            for code in (*section.spans, *(text for _, text in section.blocks)):
                assert not re.search("[\u202f\u00a0’«»]", code), code


def faults(french: str) -> list[str]:
    """What is not as in a French book: spaces, apostrophes, quotation marks, accents."""
    wrong = (
        f"(?<!{NARROW_NO_BREAK_SPACE})[;!?]|(?<!{NO_BREAK_SPACE})[:»]|«(?!{NO_BREAK_SPACE})"
        r"|['\"]|[.]{3}|oeu|\b(?:A|Ca|Etat|Ecri[tv]\w*)\b"
    )
    return re.findall(wrong, french)


def _inline(tokens: list[Token], section: Section) -> str:
    """The prose of a paragraph; its code and links go to the section."""
    prose, inside_link = "", False
    for token in tokens:
        if token.type == "code_inline":
            section.spans.append(token.content)
        elif token.type == "link_open":
            section.links.append(str(token.attrs["href"]))
        elif token.type == "image":
            section.links.append(str(token.attrs["src"]))
        inside_link = token.type == "link_open" or (inside_link and token.type != "link_close")
        if token.type == "softbreak":
            prose += " "
        elif token.type in ("text", "image") and not inside_link:
            prose += token.content
        elif token.type in ("code_inline", "link_close"):
            prose += "x"
    return prose


def typed(document: str) -> Iterator[tuple[str, str]]:
    """Commands in their order: "sh" and a block or a piece of prose; "text" and what they show."""
    for token in MarkdownIt("commonmark").enable("table").parse(document):
        if token.type == "fence" and token.info in ("sh", "text"):
            yield token.info, token.content
        for child in token.children or ():
            if child.type == "code_inline" and COMMAND.match(child.content):
                yield "sh", f"{child.content}\n"


@dataclass(frozen=True)
class Elsewhere:
    """Why commands are not run where they stand, and the test that does what they do."""

    reason: str
    # File below tests, and name.
    test: str

    def check(self) -> None:
        """Asserts that there is such a test."""
        file, _, name = self.test.partition("::")
        assert f"def {name}(" in (ROOT / "tests" / file).read_text(), self.test


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

    def see_and_end(self, server: str, address: str) -> None:
        """Starts a server, waits until it shows something, and ends it."""
        wait = f"until curl --silent --fail {address}; do kill -0 $!; sleep 0.2; done"
        shell = self.in_a_net_of_its_own(f"setsid {server} & {wait}; kill -- -$!")
        assert shell.stdout, shell.stderr

    def answer(self, command: str, answers: tuple[str, ...]) -> None:
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
            for answer in answers:
                while not said.endswith(b": "):
                    letter = process.stdout.read(1)
                    assert letter, said
                    said += letter
                process.stdin.write(f"{answer}\n".encode())
                said += b"\n"
            process.stdout.read()
        assert process.returncode == 0, said

    def status(self) -> str:
        run = self.supervisorctl("status")
        return run.stdout + run.stderr

    def change(self, file: str, old: str, new: str) -> None:
        path = self.path / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


@contextmanager
def reader(bake: Callable[..., Project], folder: Path, **answers: str) -> Iterator[Reader]:
    """A project as a newcomer has it: nothing of it was run."""
    home = Path(tempfile.mkdtemp(prefix="r", dir=folder))
    port, web_port = free_port(), free_port()
    answers.setdefault("web_interface", f"127.0.0.1:{web_port}")
    project = bake(
        project_slug="lesson",
        install_dir=f"{home}/lesson",
        domain_name=DOMAIN,
        bind=f"127.0.0.1:{port}",
        **answers,
    )
    shutil.copytree(project.path, home / "lesson")
    (home / "uv").mkdir()
    shutil.copy(Path(sys.executable).parent / "uv", home / "uv")
    home.chmod(0o755)
    if AS_USER:
        subprocess.run(["chown", "-R", USER, home], check=True)
    reader = Reader(home / "lesson", port, web_port)
    try:
        yield reader
    finally:
        for config in home.glob("*/current/deploy/supervisord.conf"):
            reader.supervisorctl("-c", str(config), "shutdown")
        reader.stop()


def serves(site: Reader) -> bool:
    eventually(lambda: len(site.masters()) == 2, 30)
    return site.answers()
