"""Ways to make a site, and to start it under supervisord, each in a folder and an environment."""

import http.client
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The machine's package index and certificates; nothing else of this shell reaches the sites.
KEPT_VARIABLES = ("LANG", "TMPDIR", "PIP_", "UV_", "SSL_CERT_")
SECONDS_TO_ANSWER = 60

# The recipe of 2010: supervisord starts one gunicorn, whose three workers take a request each.
SUPERVISORD_CONF = """\
[unix_http_server]
file = %(here)s/supervisor.sock
[supervisord]
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl = unix://%(here)s/supervisor.sock
"""
PROGRAM = """\
[program:{name}]
command = {folder}/venv/bin/gunicorn --workers 3 --bind 127.0.0.1:{port} {package}.wsgi
directory = {folder}
killasgroup = true
"""


@dataclass(frozen=True)
class Shell:
    """A folder and the environment of the commands that run in it."""

    folder: Path
    environment: dict[str, str]

    @contextmanager
    def started(self, *command: str | Path) -> Iterator[subprocess.Popen[bytes]]:
        """The command as a process; what still runs of it is ended with the block."""
        with self.output.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                try:
                    process.wait()
                finally:  # Ctrl-C while it waits does not leave it behind.
                    process.wait()

    def run(self, *command: str | Path) -> None:
        """Runs the command to its end, which must be good."""
        with self.started(*command) as process:
            if process.wait():
                self.fail()

    @property
    def output(self) -> Path:
        """What the last command said."""
        return self.folder / "output"

    def fail(self) -> None:
        """Ends this script with the last words of the last command."""
        sys.exit("\n" + self.output.read_text(errors="replace")[-2000:])

    def having(self, **variables: str) -> "Shell":
        """The same with more variables."""
        return replace(self, environment=self.environment | variables)

    def in_folder(self, name: str) -> "Shell":
        """The same in a folder of that name below it."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return replace(self, folder=folder)

    @contextmanager
    def in_new_folder(self) -> Iterator["Shell"]:
        """The same in a folder of its own, which is removed with the block."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            yield replace(self, folder=Path(folder))


def copy_template(folder: Path) -> Path:
    """The files that git tracks, as they are now, without what else lies beside them."""
    tracked = subprocess.check_output(("git", "ls-files", "-z"), cwd=ROOT, text=True)
    for name in tracked.rstrip("\0").split("\0"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    return folder


def shells(work: Path) -> tuple[Shell, Shell]:
    """Shells with a home of their own: without uv on the PATH, and with uv and its cache."""
    path = f"{Path(sys.executable).resolve().parent}:/usr/bin:/bin"
    if found := shutil.which("uv", path=path):
        sys.exit(f"{found} stands next to Python: pip alone cannot be measured.")
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if uv is None:
        sys.exit("uv is missing: run this by script/bench.")
    for name in ("home", "uv"):
        (work / name).mkdir()
    (work / "uv" / "uv").symlink_to(uv)
    kept = {name: value for name, value in os.environ.items() if name.startswith(KEPT_VARIABLES)}
    shell = Shell(work, kept).having(HOME=str(work / "home"), PATH=path)
    cache = subprocess.check_output((uv, "cache", "dir"), text=True).strip()
    return shell, shell.having(PATH=f"{work / 'uv'}:{path}", UV_CACHE_DIR=cache)


def generate(template: Path, shell: Shell, *extra: str) -> None:
    """Bakes the template, with its default answers but for the extra ones."""
    cookiecutter = (sys.executable, "-m", "cookiecutter", "--no-input", "--default-config")
    shell.run(*cookiecutter, str(template), *extra)


def by_template(template: Path, shell: Shell, port: int, *answers: str) -> Shell:
    """Makes a site from this template: cookiecutter, ./bootstrap.sh."""
    addresses = f"bind=127.0.0.1:{port}", f"web_interface=127.0.0.1:{free_port()}"
    generate(template, shell, *addresses, *answers)
    site = replace(shell, folder=next(shell.folder.glob("*/bootstrap.sh")).parent)
    site.run("./bootstrap.sh")
    return site


def by_hand(packages: list[str], shell: Shell, port: int) -> Shell:
    """Makes a site in the usual way: venv, pip install, startproject, a supervisord.conf."""
    shell.run("python3", "-m", "venv", "venv")
    shell.run("venv/bin/pip", "install", *packages)
    shell.run("venv/bin/django-admin", "startproject", "by_hand", ".")
    program = PROGRAM.format(name="site", folder=shell.folder, port=port, package="by_hand")
    (shell.folder / "supervisord.conf").write_text(SUPERVISORD_CONF + program)
    return shell


def free_port() -> int:
    """A port that nothing listens on, below those that the system gives to the polls themselves."""
    while True:
        port = random.randrange(20000, 30000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def answers(port: int) -> bool:
    """Whether the page / of the site on this port is a 200 now."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS_TO_ANSWER)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def await_answer(shell: Shell, supervisord: subprocess.Popen[bytes], port: int) -> None:
    """Returns with the first 200; ends this script where none comes."""
    deadline = time.perf_counter() + SECONDS_TO_ANSWER
    while not answers(port):
        if time.perf_counter() > deadline or supervisord.poll() is not None:
            shell.fail()
        time.sleep(0.01)


def start_seconds(shell: Shell, port: int) -> float:
    """Wall seconds from supervisord's start in the site's folder to the first 200; then it ends."""
    begin = time.perf_counter()
    with shell.started("venv/bin/supervisord", "--nodaemon") as supervisord:
        await_answer(shell, supervisord, port)
        return time.perf_counter() - begin
