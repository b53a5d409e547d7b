"""A generated project: its commands, and its life under supervisord."""

import http.client
import os
import shutil
import signal
import subprocess
import xmlrpc.client
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from supervisor.childutils import getRPCInterface

from .commands import ENVIRONMENT, Run
from .files import read_if_there
from .waiting import eventually

# deploy/server/alerts.py
ALERTS = "alerts:alerts"


def states(server: Path) -> dict[str, tuple[str, int]]:
    """State and pid of each program, by the socket of its supervisord; nothing where none runs.

    What `supervisorctl status` shows, without what its start costs: a quarter of a second of a
    processor, each time that somebody waits.
    """
    try:
        with getRPCInterface({"SUPERVISOR_SERVER_URL": f"unix://{server}"}) as supervisord:
            every: Any = supervisord.supervisor.getAllProcessInfo()
    except (OSError, http.client.HTTPException, xmlrpc.client.Error):
        return {}
    return {f"{one['group']}:{one['name']}": (one["statename"], one["pid"]) for one in every}


@dataclass
class Project:
    """A generated project in its folder."""

    path: Path

    @property
    def slug(self) -> str:
        return next(self.path.glob("*/wsgi.py")).parent.name

    def run(self, *command: str, check: bool = True, **options: Any) -> Run:
        """Runs a command in the project's folder and returns it with its output."""
        options.setdefault("env", ENVIRONMENT)
        done: Run = subprocess.run(
            command, cwd=self.path, capture_output=True, text=True, check=False, **options
        )
        if check:
            assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
        return done

    def python(self, *arguments: str, **options: Any) -> Run:
        return self.run("venv/bin/python", *arguments, **options)

    def supervisorctl(self, *arguments: str, check: bool = False) -> Run:
        return self.run("venv/bin/supervisorctl", *arguments, check=check)


def copy_venv(venv: Path, copy: Path) -> None:
    """Copies a venv that bootstrap.sh has made: by links, but for what holds its path."""
    shutil.copytree(venv, copy, symlinks=True, copy_function=os.link)
    old, new = os.fsencode(venv), os.fsencode(copy)
    for file in (copy / "bootstrap.stamp", *(copy / "bin").iterdir()):
        text = file.read_bytes()
        if not file.is_symlink() and old in text:
            mode = file.stat().st_mode
            file.unlink()
            file.write_bytes(text.replace(old, new))
            file.chmod(mode)


class Response(NamedTuple):
    """An HTTP response, read to its end."""

    status: int
    headers: Message
    text: str


@dataclass
class Site(Project):
    """A bootstrapped project whose supervisord may run."""

    port: int = 0
    web_port: int = 0

    def start(self) -> None:
        self.run("venv/bin/supervisord")
        eventually(self.answers, 30)

    def stop(self) -> None:
        """Ends supervisord and everything below it, however the test left it."""
        pid = self.pid
        if pid in self.processes():
            os.kill(pid, signal.SIGTERM)
            eventually(lambda: not self.alive(pid), 50)

    @property
    def pid(self) -> int | None:
        """The pid in supervisord's pid file."""
        try:
            return int((self.path / "var" / "supervisord.pid").read_text())
        except (OSError, ValueError):
            return None

    @staticmethod
    def alive(pid: int) -> bool:
        return Path(f"/proc/{pid}").exists()

    def processes(self) -> list[int]:
        """Every process that runs a program of this project's venv, supervisord included."""
        return [
            int(folder.name)
            for folder in Path("/proc").glob("[0-9]*")
            if str(self.path).encode() in read_if_there(folder / "cmdline")
        ]

    def states(self) -> dict[str, tuple[str, int]]:
        """State and pid of each program but the one that tells of the others."""
        every = states(self.path / "var" / "ctl.sock")
        return {name: state for name, state in every.items() if name != ALERTS}

    def alerts(self) -> tuple[str, int]:
        """State and pid of the program that tells of the others."""
        return states(self.path / "var" / "ctl.sock").get(ALERTS, ("", 0))

    def masters(self) -> dict[str, int]:
        """The gunicorn masters that are RUNNING: name → pid."""
        return {
            name: pid
            for name, (state, pid) in self.states().items()
            if state == "RUNNING" and name.startswith("gu-")
        }

    def workers(self, master: int) -> list[int]:
        """The pids of a master's workers."""
        children = Path(f"/proc/{master}/task/{master}/children").read_text()
        return [int(pid) for pid in children.split()]

    def every_worker(self) -> list[int]:
        """The pids of both masters' workers."""
        return [*chain(*map(self.workers, self.masters().values()))]

    def kill_every_gunicorn(self) -> None:
        for pid in [*self.masters().values(), *self.every_worker()]:
            with suppress(ProcessLookupError):  # a master's end can be its workers'
                os.kill(pid, signal.SIGKILL)

    def await_workers(self) -> None:
        """Returns once both masters have all their workers, which the first answer does not tell."""
        number = 2 * max(1, (os.cpu_count() or 1) // 2)
        eventually(lambda: len(self.every_worker()) == number)

    def logs(self) -> str:
        """What the masters and their workers have said, and supervisord has written by now."""
        return "".join(log.read_text() for log in self.path.glob("var/log/gu-*.log"))

    def get(self, path: str = "/", port: int = 0, timeout: float = 10, **headers: str) -> Response:
        """The site's response, or that of what listens on another port."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=timeout)
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return Response(response.status, response.headers, response.read().decode())
        finally:
            connection.close()

    def answers(self) -> bool:
        try:
            return self.get("/healthz").status == 200
        except OSError:
            return False
