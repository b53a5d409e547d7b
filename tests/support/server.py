"""The folder of a site on a server, what is released into it, and what it then serves."""

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from .commands import AS_USER, ENVIRONMENT, HOSTILE, SYSTEM, Run
from .files import read_if_there
from .project import Site
from .waiting import eventually

Change = Callable[[Path], None]
# Seconds between two requests of each of the 16 visitors, while what serves is replaced, and while
# nothing of it is touched: 150 requests a second leave a processor to a release, not the other one.
REST, SELDOM = 0.1, 0.5


def rest(site: Path) -> Callable[[], float]:
    """Of visitors during a release: from the moment when `current` leads to another one, they hurry."""
    current = site / "current"
    before, switched = current.readlink(), threading.Event()

    def seconds() -> float:
        if current.readlink() != before:
            switched.set()
        return REST if switched.is_set() else SELDOM

    return seconds


@dataclass
class Server(Site):
    """The folder of a site on a server, and the folders of code that go there."""

    code: Path = Path()
    uv: Path = Path()
    first: Run | None = None
    numbers: Iterator[int] = field(default_factory=count)

    @property
    def environment(self) -> dict[str, str]:
        """A home, where uv keeps what it has downloaded."""
        home = str(self.code.parent / "home")
        return {**ENVIRONMENT, "HOME": home, "PATH": f"{self.uv}:{SYSTEM}"}

    def run(self, *command: str, **options: Any) -> Run:
        """As the site's user."""
        options.setdefault("env", self.environment)
        return super().run(*AS_USER, *command, **options)

    def new_code(self, *changes: Change) -> Path:
        """A copy of the code, changed."""
        folder = self.code.parent / f"code{next(self.numbers)}"
        shutil.copytree(self.code, folder)
        for change in changes:
            change(folder)
        return folder

    def release(
        self,
        *changes: Change,
        options: tuple[str, ...] = (),
        check: bool = True,
        **environment: str,
    ) -> Run:
        """A release from a shell that holds much of another project."""
        script = str(self.new_code(*changes) / "deploy" / "release.sh")
        env = {**self.environment, **HOSTILE, **environment}
        return self.run(script, "--into", str(self.path), *options, check=check, env=env)

    @contextmanager
    def releasing(self, *changes: Change) -> Iterator[subprocess.Popen[str]]:
        """A release at work; what it says comes through a pipe."""
        script = str(self.new_code(*changes) / "deploy" / "release.sh")
        process = subprocess.Popen(
            [*AS_USER, script, "--into", str(self.path)],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=0,
            cwd="/",
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def supervisorctl(self, *arguments: str, check: bool = False) -> Run:
        return self.run(
            "current/venv/bin/supervisorctl", "-c", self.config, *arguments, check=check
        )

    @property
    def config(self) -> str:
        return f"{self.path}/current/deploy/supervisord.conf"

    def start(self) -> None:
        self.run("current/venv/bin/supervisord", "-c", self.config)
        eventually(self.answers)

    @property
    def current(self) -> str:
        return (self.path / "current").readlink().name

    @property
    def previous(self) -> str:
        """What served before the current release."""
        link = self.path / "current" / ".previous"
        return link.readlink().name if link.is_symlink() else ""

    @property
    def releases(self) -> set[str]:
        return {folder.name for folder in (self.path / "releases").iterdir()}

    @property
    def serving(self) -> set[str]:
        """What answers, over some new connections."""
        return {self.get("/healthz").text for _ in range(20)}

    def rehearsing(self) -> bool:
        """Whether the gunicorn of a rehearsal runs."""
        address = f"unix:{self.path}/var/rehearsal/".encode()
        lines = (read_if_there(folder / "cmdline") for folder in Path("/proc").glob("[0-9]*"))
        return any(address in line for line in lines)

    def require_whole(self) -> None:
        """Asserts that the current release alone serves, and that nothing unfinished is left."""
        assert self.serving == {f"ok {self.current}\n"}
        assert len(self.masters()) == 2
        assert not (self.path / "unfinished").exists()
        assert not (self.path / "var" / "rehearsal").exists()
        venvs = {(self.path / "releases" / name / "venv").resolve() for name in self.releases}
        assert {path for path in (self.path / "venvs").iterdir() if path.name != "deploy"} == venvs
        manifests = {path.name for path in (self.path / "var/static/manifests").iterdir()}
        assert manifests == self.releases
        assert (self.path / "releases").stat().st_mode & 0o777 == 0o750
        assert not self.rehearsing()
