"""What the tests share: baking a project, running its commands, and its life under supervisord."""

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
import xmlrpc.client
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import pytest
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser, sync_playwright
from pytest_cookies.plugin import Cookies, Result
from supervisor.childutils import getRPCInterface

# The booted servers' tests stand in modules that pytest does not take for tests.
pytest.register_assert_rewrite("lesson", "machine", "scenario")

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE_PARTS = (
    "cookiecutter.json",
    "hooks",
    "local_extensions",
    "templates",
    "{{cookiecutter.project_slug}}",
)
LANGUAGES = ("en", "fr")
# The files that take longest, the longest first: what is left for the end is short, and the
# workers end together.
LONGEST = (
    *("debian_12", "debian_13", "bootstrap", "release", "document_commands", "lesson_troubles"),
    *("proof", "no_request_lost", "web_interface", "lesson", "init_script", "trouble"),
    *("supervisor_plugin", "pages", "demo", "files", "site", "nginx"),
)
# What a login shell has; the tests' own settings must not reach the sites. Package indexes and
# certificates are the machine's: they stay.
KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "PIP_", "UV_", "SSL_CERT_", "CURL_CA_BUNDLE")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name.startswith(KEPT_VARIABLES)}

Run = subprocess.CompletedProcess[str]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--thorough", action="store_true", help="10,000 projects instead of 300")


def pytest_configure(config: pytest.Config) -> None:
    """The ordinary run tries the same examples each time; the thorough one goes on searching."""
    thorough = config.getoption("--thorough")
    number = 10_000 if thorough else 300
    health = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    settings.register_profile(
        "ours",
        max_examples=number,
        derandomize=not thorough,
        deadline=None,
        suppress_health_check=health,
    )
    settings.load_profile("ours")


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: half of a test's time is waiting."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In the order of LONGEST, then of their names."""
    rank = {f"test_{name}": number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


def lack(reason: str) -> NoReturn:
    """Skips the test, saying why; in CI it fails."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


def require(tool: str) -> str:
    """The tool's path; without it the test cannot be."""
    return shutil.which(tool) or lack(f"{tool} is not installed")


def pythons(*versions: str) -> dict[str, str]:
    """Version → path of those Pythons that this machine has; pyenv shows its own when asked to."""
    environment = dict(os.environ)
    if shutil.which("pyenv"):
        known = subprocess.check_output(["pyenv", "versions", "--bare"], text=True)
        environment["PYENV_VERSION"] = ":".join(known.split())
    found = {}
    for version in versions:
        command = [f"python{version}", "-c", "import sys; print(sys.executable)"]
        with suppress(FileNotFoundError, subprocess.CalledProcessError):
            path = subprocess.check_output(command, env=environment, stderr=subprocess.DEVNULL)
            found[version] = path.decode().strip()
    return found


def eventually(condition: Callable[[], Any], seconds: float = 10) -> Any:
    """What the condition gives as soon as it is true; the test fails if it stays false."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {condition}"
        time.sleep(0.05)
    return value


@contextmanager
def moved(file: Path) -> Iterator[Path]:
    """The file or folder under another name, for a while."""
    away = file.rename(file.with_suffix(".moved"))
    try:
        yield away
    finally:
        away.replace(file)


def free_port() -> int:
    """A port that nothing listens on, below those that the system hands out (ip_local_port_range)."""
    while True:
        port = random.randrange(20000, 30000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


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
        eventually(self.answers)

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
            if str(self.path).encode() in _read(folder / "cmdline")
        ]

    def states(self) -> dict[str, tuple[str, int]]:
        """State and pid of each master."""
        return states(self.path / "var" / "ctl.sock")

    def masters(self) -> dict[str, int]:
        """The gunicorn masters that are RUNNING: name → pid."""
        return {name: pid for name, (state, pid) in self.states().items() if state == "RUNNING"}

    def workers(self, master: int) -> list[int]:
        """The pids of a master's workers."""
        children = Path(f"/proc/{master}/task/{master}/children").read_text()
        return [int(pid) for pid in children.split()]

    def await_workers(self) -> None:
        """Returns once both masters have all their workers, which the first answer does not tell."""
        number = 2 * max(1, (os.cpu_count() or 1) // 2)
        eventually(lambda: len([*chain(*map(self.workers, self.masters().values()))]) == number)

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


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A folder with a short path, for a UNIX socket's path has 107 bytes at most.

    Temporary files go there too, also those of commands: Cookiecutter leaves some behind, and so
    does whatever a test kills.
    """
    folder = Path(tempfile.mkdtemp(prefix="dgs"))
    folder.chmod(0o1777)  # as /tmp: for the users that a test plays, too
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        patch.setitem(ENVIRONMENT, "TMPDIR", str(folder))
        yield folder
    shutil.rmtree(folder)


@pytest.fixture
def folder(short_folder: Path) -> Path:
    """An empty folder with a short path."""
    return Path(tempfile.mkdtemp(dir=short_folder))


def copy_template(folder: Path) -> Path:
    """The template as a clone has it: Cookiecutter copies its folder, `.venv` and all, each time."""
    for part in TEMPLATE_PARTS:
        source = ROOT / part
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / part, ignore=ignored)
        else:
            shutil.copy(source, folder / part)
    return folder


@pytest.fixture(scope="session")
def template(short_folder: Path) -> Path:
    """A copy of the template, for all tests that do not change it."""
    folder = short_folder / "template"
    folder.mkdir()
    return copy_template(folder)


def cookiecutter(folder: Path, *arguments: str, **environment: str) -> Run:
    """The command as a user types it in this folder, with a home of its own there."""
    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    variables = {**ENVIRONMENT, "HOME": str(home), "TMPDIR": str(home), **environment}
    return subprocess.run(
        [sys.executable, "-m", "cookiecutter", *arguments],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
    )


@pytest.fixture(scope="session")
def try_bake(
    template: Path, short_folder: Path, _cookiecutter_config_file: Path
) -> Callable[..., Result]:
    """Bakes with these answers and gives pytest-cookies' result, good or bad."""

    def new_folder(name: str) -> Path:
        return Path(tempfile.mkdtemp(prefix="b", dir=short_folder))

    cookies = Cookies(str(template), new_folder, _cookiecutter_config_file)
    return lambda **answers: cookies.bake(extra_context=answers)


@pytest.fixture(scope="session")
def bake(try_bake: Callable[..., Result]) -> Callable[..., Project]:
    """Bakes a project with these answers, which must be good."""

    def bake(**answers: str) -> Project:
        result = try_bake(**answers)
        assert result.exception is None, result.exception
        return Project(result.project_path)

    return bake


@pytest.fixture(scope="module")
def make_site(bake: Callable[..., Project]) -> Iterator[Callable[..., Site]]:
    """Bakes and bootstraps a site on ports of its own (with uv, the faster way)."""
    sites = []

    def make(environment: dict[str, str] | None = None, **answers: str) -> Site:
        port, web_port = free_port(), free_port()
        answers.setdefault("bind", f"127.0.0.1:{port}")
        answers.setdefault("web_interface", f"127.0.0.1:{web_port}")
        site = Site(bake(**answers).path, port, web_port)
        sites.append(site)
        path = f"{Path(sys.executable).parent}:{ENVIRONMENT['PATH']}"
        site.run("./bootstrap.sh", env={**ENVIRONMENT, "PATH": path, **(environment or {})})
        return site

    yield make
    # All at once: each waits for its masters to end.
    with ThreadPoolExecutor() as pool:
        list(pool.map(Site.stop, sites))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, headless. Whatever name it is given is this machine's."""
    options = ["--disable-quic", "--disable-sync", "--host-resolver-rules=MAP * 127.0.0.1"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=require("chromium"), args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site(make_site: Callable[..., Site]) -> Site:
    """One bootstrapped site for the tests of a file."""
    return make_site()
