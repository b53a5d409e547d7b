"""The lesson of a generated project, and somebody who does what it says."""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .commands import AS_USER, ENVIRONMENT, SYSTEM, USER, Run
from .documents import Document, typed
from .git import GIT_AUTHOR
from .nginx import DOMAIN
from .ports import free_port
from .postgresql import Cluster
from .project import Project, Site
from .service_files import name_folder
from .template import ROOT
from .waiting import eventually

TROUBLES = "docs/troubles.md"


def lesson_of(project: Project) -> dict[str, Document]:
    """The README and the chapters that its last section lists, in their order, by their names."""
    readme = Document((project.path / "README.md").read_text())
    chapters = readme.sections[-1].links
    return {"README.md": readme} | {
        chapter: Document((project.path / chapter).read_text()) for chapter in chapters
    }


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


def written(project: Path, kind_and_file: str, shown: str) -> tuple[Path, str]:
    """A file of which a chapter shows all, or the lines that are added; and the text it gets."""
    kind, file = kind_and_file.split()
    path = project / file
    if kind != "diff":
        return path, shown
    lines = shown.splitlines(keepends=True)
    old = "".join(line[1:] for line in lines if not line.startswith("+"))
    text = path.read_text()
    assert old in text
    return path, text.replace(old, "".join(line[1:] for line in lines))


def write_files(project: Project, chapter: str) -> None:
    """Writes the files that a chapter shows."""
    for kind, shown in typed(lesson_of(project)[chapter].text):
        if " " in kind:
            path, text = written(project.path, kind, shown)
            path.write_text(text)


@dataclass
class Reader(Site):
    """Somebody with a home folder, who types what stands in the lesson. As root: another user."""

    # What leads bootstrap.sh to a PostgreSQL
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.path.parent

    @property
    def environment(self) -> dict[str, str]:
        path = f"{self.home}/uv:{SYSTEM}"
        home = {"HOME": str(self.home), "PATH": path}
        return {**ENVIRONMENT, **GIT_AUTHOR, **self.variables, **home}

    def run(self, *command: str, **options: Any) -> Run:
        options.setdefault("env", self.environment)
        return super().run(*AS_USER, *command, **options)

    def type(self, block: str, check: bool = True) -> str:
        """What the commands show."""
        if "port = /" in block:
            shell = self.in_a_net_of_its_own(block)
        else:
            shell = self.run("sh", "-ec", block, check=check)
        return shell.stdout + shell.stderr

    def in_a_net_of_its_own(self, block: str) -> Run:
        """What opens a port to every network does so where there is but this machine."""
        root = () if AS_USER else ("--map-root-user",)
        alone = ("unshare", *root, "--net", "sh", "-ec", 'ip link set lo up; exec "$@"', "sh")
        command = (*alone, *AS_USER, "sh", "-ec", block)
        return Project.run(self, *command, env=self.environment)

    def see_and_end(self, server: str) -> None:
        """Starts a server on the port it names last, waits until it shows its home page, and ends it."""
        address = f"http://127.0.0.1:{server.split()[-1]}/"
        wait = f"until curl --silent --fail {address}; do kill -0 $!; sleep 0.2; done"
        shell = self.run("sh", "-ec", f"setsid env {server} & {wait}; kill -- -$!")
        assert "</html>" in shell.stdout, shell.stderr

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

    def write(self, kind_and_file: str, shown: str) -> None:
        """Writes a file that a chapter shows, as whoever types the commands."""
        path, text = written(self.path, kind_and_file, shown)
        self.run("sh", "-ec", 'cat >"$1"', "sh", str(path), input=text)

    def status(self) -> str:
        run = self.supervisorctl("status")
        return run.stdout + run.stderr

    def change(self, file: str, old: str, new: str) -> None:
        path = self.path / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


@contextmanager
def reader(
    bake: Callable[..., Project], folder: Path, cluster: Cluster | None = None, **answers: str
) -> Iterator[Reader]:
    """A project as a newcomer has it: nothing of it was run."""
    home = Path(tempfile.mkdtemp(prefix="r", dir=folder))
    port, web_port = free_port(), free_port()
    answers.setdefault("web_interface", f"127.0.0.1:{web_port}")
    project = bake(
        project_slug="lesson",
        domain_name=DOMAIN,
        bind=f"127.0.0.1:{port}",
        **answers,
    )
    shutil.copytree(project.path, home / "lesson")
    name_folder(home / "lesson", home / "lesson")
    (home / "uv").mkdir()
    shutil.copy(Path(sys.executable).parent / "uv", home / "uv")
    home.chmod(0o755)
    if AS_USER:
        subprocess.run(["chown", "-R", USER, home], check=True)
    variables = cluster.environment if cluster else {}
    reader = Reader(home / "lesson", port, web_port, variables)
    try:
        yield reader
    finally:
        for config in home.glob("*/current/deploy/supervisord.conf"):
            reader.supervisorctl("-c", str(config), "shutdown")
        reader.stop()


def serves(site: Reader) -> bool:
    eventually(lambda: len(site.masters()) == 2, 30)
    return site.answers()
