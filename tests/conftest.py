"""How the tests run, and what pytest gives them: a folder, a project, a site, a browser."""

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser, sync_playwright
from pytest_cookies.plugin import Cookies, Result
from support.commands import ENVIRONMENT, USER, WITH_UV, lack, require
from support.ports import free_port
from support.postgresql import Cluster
from support.progress import Progress, part_of, seconds
from support.project import Project, Site, copy_venv
from support.server import Server
from support.template import copy_template, read_once
from support.visit import DESK, Scheme, Visit
from xdist.scheduler import LoadFileScheduling

# A file system in memory, and the bytes that the sites of all workers need there.
MEMORY, ROOM = "/dev/shm", 3 * 10**9
# The options of pytest that name tests, as files do: what is named is run, slow or not.
NAMING = ("keyword", "markexpr", "lf")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="every test, the slow ones too")
    parser.addoption(
        "--thorough", action="store_true", help="--all, one more machine, 10,000 projects"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Chooses the tests, gives their commands the default SIGINT, and Hypothesis its profile.

    The ordinary run tries the same examples each time; the thorough one goes on searching.
    """
    everything = config.getoption("--all") or config.getoption("--thorough")
    named = config.args_source is pytest.Config.ArgsSource.ARGS
    quick = not (everything or named or any(map(config.getoption, NAMING)))
    config.option.quick = quick
    thorough = config.getoption("--thorough")
    if quick:
        config.option.markexpr = "not slow and not thorough"
    elif not thorough and config.getoption("--all") and not config.option.markexpr:
        config.option.markexpr = "not thorough"
    # A shell's background process ignores it, and so would each command that a test interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    health = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    settings.register_profile(
        "ours",
        max_examples=10_000 if thorough else 50 if quick else 300,
        derandomize=not thorough,
        deadline=None,
        suppress_health_check=health,
    )
    settings.load_profile("ours")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Progress(config, quick, everything))


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: half of a test's time is waiting."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest parts first: what is left for the end is short, and the workers end together."""
    items.sort(key=lambda item: -seconds(part_of(item.nodeid), config.option.quick))


class OneWorkerPerPart(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """The tests of a part share the site that they start."""

    def _split_scope(self, nodeid: str) -> str:
        return part_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> OneWorkerPerPart:
    return OneWorkerPerPart(config, log)


@pytest.fixture
def as_root() -> None:
    """Namespaces and other users are root's."""
    if os.geteuid() != 0:
        lack("only root can do this")


def memory() -> str | None:
    """MEMORY, where it has room and lets programs run: venvs come and go there in no time."""
    with suppress(OSError):
        disk = os.statvfs(MEMORY)
        if disk.f_bavail * disk.f_frsize > ROOM and not disk.f_flag & os.ST_NOEXEC:
            return MEMORY
    return None


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A folder with a short path, for a UNIX socket's path has 107 bytes at most.

    Temporary files go there too, also those of commands: Cookiecutter leaves some behind, and so
    does whatever a test kills.
    """
    folder = Path(tempfile.mkdtemp(prefix="dgs", dir=memory()))
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


@pytest.fixture(scope="session")
def new_cluster(short_folder: Path) -> Iterator[Callable[[], Cluster]]:
    """Starts a PostgreSQL of one test's own, which may stop it, fill it or set it otherwise."""
    with ExitStack() as started:

        def new() -> Cluster:
            folder = Path(tempfile.mkdtemp(prefix="p", dir=short_folder))
            folder.chmod(0o755)  # whoever knows its socket may use it
            cluster = Cluster.make(folder / "pg")
            started.callback(cluster.end)
            return cluster

        yield new


@pytest.fixture(scope="session")
def postgresql(new_cluster: Callable[[], Cluster]) -> Cluster:
    """A PostgreSQL for all sites of a worker; each has databases of its own."""
    return new_cluster()


@pytest.fixture(scope="session")
def template(short_folder: Path) -> Path:
    """A copy of the template, for all tests that do not change it."""
    folder = short_folder / "template"
    folder.mkdir()
    return copy_template(folder)


@pytest.fixture(scope="session")
def try_bake(
    template: Path, short_folder: Path, _cookiecutter_config_file: Path
) -> Callable[..., Result]:
    """Bakes with these answers and gives pytest-cookies' result, good or bad."""

    def new_folder(name: str) -> Path:
        return Path(tempfile.mkdtemp(prefix="b", dir=short_folder))

    cookies = Cookies(str(template), new_folder, _cookiecutter_config_file)

    def bake(**answers: str) -> Result:
        with read_once():
            return cookies.bake(extra_context=answers)

    return bake


@pytest.fixture(scope="session")
def bake(try_bake: Callable[..., Result]) -> Callable[..., Project]:
    """Bakes a project with these answers, which must be good."""

    def bake(**answers: str) -> Project:
        result = try_bake(**answers)
        assert result.exception is None, result.exception
        return Project(result.project_path)

    return bake


@pytest.fixture(scope="session")
def made_venv(bake: Callable[..., Project]) -> Path:
    """A venv that bootstrap.sh has made with uv. Sites get copies: making one takes longest."""
    project = bake(bind=f"127.0.0.1:{free_port()}", web_interface="off")
    project.run("./bootstrap.sh", env=WITH_UV)
    return project.path / "venv"


@pytest.fixture(scope="module")
def make_site(bake: Callable[..., Project], made_venv: Path) -> Iterator[Callable[..., Site]]:
    """Bakes and bootstraps a site on ports of its own; where its Python may be any, with a venv.

    With a PostgreSQL, it is a site of that.
    """
    sites = []

    def make(python: Path | None = None, cluster: Cluster | None = None, **answers: str) -> Site:
        port, web_port = free_port(), free_port()
        answers.setdefault("bind", f"127.0.0.1:{port}")
        answers.setdefault("web_interface", f"127.0.0.1:{web_port}")
        answers.setdefault("database", "postgresql" if cluster else "sqlite")
        if answers.get("tasks") == "celery":
            require("redis-server")
        site = Site(bake(**answers).path, port, web_port)
        sites.append(site)
        environment = WITH_UV
        if cluster:
            environment = {**environment, **cluster.environment}
        if python:
            environment = {**environment, "PATH": f"{python.parent}:{WITH_UV['PATH']}"}
        else:
            copy_venv(made_venv, site.path / "venv")
        site.run("./bootstrap.sh", env=environment)
        return site

    yield make
    # All at once: each waits for its masters to end.
    with ThreadPoolExecutor() as pool:
        list(pool.map(Site.stop, sites))
    for site in sites:
        shutil.rmtree(site.path.parent)


@pytest.fixture(scope="module")
def new_server(bake: Callable[..., Project], short_folder: Path) -> Iterator[Callable[..., Server]]:
    """Bakes a project, for a folder on a server that is still empty."""
    servers: list[Server] = []

    def new(**answers: str) -> Server:
        if answers.get("tasks") == "celery":
            require("redis-server")
        folder = Path(tempfile.mkdtemp(prefix="s", dir=short_folder))
        folder.chmod(0o755)
        port, web_port = free_port(), free_port()
        answers |= {"bind": f"127.0.0.1:{port}", "web_interface": f"127.0.0.1:{web_port}"}
        shutil.copytree(bake(project_slug="shop", **answers).path, folder / "code")
        # The developer's own ports stay where they are.
        local = folder / "code" / "deploy" / "local.conf"
        local.write_text("[fcgi-program:gu-shop]\nsocket = tcp://127.0.0.1:1\n")
        for name in ("srv", "home"):
            (folder / name).mkdir()
            if os.geteuid() == 0:
                shutil.chown(folder / name, USER)
        (folder / "uv").mkdir()
        shutil.copy(Path(sys.executable).parent / "uv", folder / "uv")
        server = Server(folder / "srv", port, web_port, folder / "code", folder / "uv")
        servers.append(server)
        return server

    yield new
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def served(new_server: Callable[..., Server]) -> Server:
    """A server with its first release, started as the release says."""
    server = new_server()
    server.first = server.release()
    server.start()
    return server


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


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    with ExitStack() as opened:

        def visit(site: Site, size: tuple[int, int] = DESK, scheme: Scheme = "light") -> Visit:
            width, height = size
            page = browser.new_page(
                viewport={"width": width, "height": height}, color_scheme=scheme
            )
            opened.callback(page.close)
            page.set_default_timeout(10_000)
            return Visit(page, site)

        yield visit
