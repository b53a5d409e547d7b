"""What goes wrong on real machines: the site stays up, or one clear message says why it does not."""

import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from xmlrpc.client import ServerProxy

import pytest
from conftest import ENVIRONMENT, Site, eventually
from load import visitors
from supervisor.childutils import getRPCInterface

FAKETIME = "/usr/lib/*/faketime/libfaketimeMT.so.1"


@pytest.fixture(scope="module")
def made(make_site: Callable[..., Site]) -> Site:
    return make_site(project_slug="trouble")


@pytest.fixture
def stopped(made: Site) -> Iterator[Site]:
    """The site, which does not run; nor will it after the test."""
    made.stop()
    yield made
    made.stop()


@pytest.fixture
def site(stopped: Site) -> Site:
    """The site with both masters running."""
    stopped.start()
    eventually(lambda: len(stopped.masters()) == 2)
    return stopped


def states(site: Site) -> dict[str, str]:
    words = map(str.split, site.supervisorctl("status").stdout.splitlines())
    return {word[0]: word[1] for word in words}


def kill(site: Site, master: str) -> None:
    pid = site.masters()[master]
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not site.alive(pid))


@pytest.fixture
def small_disk(stopped: Site) -> Iterator[Path]:
    """A disk of 256 KB under the logs."""
    logs = stopped.path / "var" / "log"
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(logs)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no root: {done.stderr}")
    yield logs
    stopped.stop()
    subprocess.run(["umount", logs], check=True)


def fill(folder: Path) -> None:
    with pytest.raises(OSError, match="No space left"), (folder / "filler").open("wb", 0) as filler:
        while True:
            filler.write(bytes(512))


@pytest.mark.parametrize("full_from_the_start", [True, False])
def test_the_disk_of_the_logs_is_full(
    stopped: Site, small_disk: Path, full_from_the_start: bool
) -> None:
    if full_from_the_start:
        fill(small_disk)
    stopped.start()
    eventually(lambda: len(stopped.masters()) == 2)
    if not full_from_the_start:
        fill(small_disk)
    with visitors(stopped.port) as visits:
        stopped.supervisorctl("rolling_restart", "gu-trouble", check=True)
    assert visits.failures == {}
    kill(stopped, "gu-trouble:master-1")
    eventually(lambda: len(stopped.masters()) == 2)

    (small_disk / "filler").unlink()
    stopped.get("/healthz?logged-again")
    eventually(
        lambda: any("logged-again" in log.read_text() for log in small_disk.glob("gu-*.log"))
    )


def test_supervisords_log_cannot_be_written(stopped: Site) -> None:
    log = stopped.path / "var" / "log" / "supervisord.log"
    log.unlink(missing_ok=True)
    log.mkdir()
    try:
        done = stopped.run("venv/bin/supervisord", check=False)
    finally:
        log.rmdir()
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert str(log) in done.stderr
    assert stopped.processes() == []


def test_a_masters_log_cannot_be_written(stopped: Site) -> None:
    log = stopped.path / "var" / "log" / "gu-trouble-1.log"
    log.unlink(missing_ok=True)
    log.mkdir()
    try:
        stopped.start()
        eventually(lambda: states(stopped)["gu-trouble:master-1"] == "FATAL", 30)
        assert states(stopped)["gu-trouble:master-2"] == "RUNNING"
        assert stopped.answers()
    finally:
        log.rmdir()
    stopped.supervisorctl("rolling_restart", "gu-trouble", check=True)
    assert len(stopped.masters()) == 2


def test_a_stale_socket_and_garbage_in_the_pid_file(stopped: Site) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(stopped.path / "var" / "ctl.sock"))
    (stopped.path / "var" / "supervisord.pid").write_text("garbage\n")
    stopped.start()
    assert stopped.supervisorctl("pid", check=True).stdout == f"{stopped.pid}\n"
    eventually(lambda: len(stopped.masters()) == 2)


def test_the_port_of_the_web_interface_is_taken(stopped: Site) -> None:
    with socket.create_server(("127.0.0.1", stopped.web_port)):
        done = stopped.run("venv/bin/supervisord", check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "Another program is already listening on a port" in done.stderr
    assert stopped.processes() == []


def test_the_port_is_taken_while_the_site_is_stopped(site: Site) -> None:
    site.supervisorctl("stop", "gu-trouble:*", check=True)
    stranger = eventually(lambda: listen(site.port), 20)
    with stranger:
        done = site.supervisorctl("start", "gu-trouble:*")
        assert done.returncode != 0
        assert "RUNNING" not in states(site).values()
    site.supervisorctl("start", "gu-trouble:*", check=True)
    assert site.answers()


def listen(port: int) -> socket.socket | None:
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError:
        return None


def test_the_venv_is_missing(site: Site) -> None:
    """supervisorctl is gone too: the states come by the protocol that it speaks."""
    supervisor: ServerProxy = getRPCInterface(
        {"SUPERVISOR_SERVER_URL": f"unix://{site.path}/var/ctl.sock"}
    )

    def state(name: str) -> object:
        return supervisor.supervisor.getProcessInfo(f"gu-trouble:{name}")["statename"]  # type: ignore[index, call-overload]

    pid = site.masters()["gu-trouble:master-1"]
    venv = site.path / "venv"
    moved = venv.rename(site.path / "moved")
    try:
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: state("master-1") == "FATAL", 30)
        assert state("master-2") == "RUNNING"
        with visitors(site.port) as visits:
            pass
        assert visits.failures == {}
    finally:
        moved.rename(venv)
    site.supervisorctl("rolling_restart", "gu-trouble", check=True)


def test_too_few_descriptors_for_supervisord(stopped: Site) -> None:
    done = stopped.run("prlimit", "--nofile=200:200", "venv/bin/supervisord", check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "only allow you to open 200 file descriptors" in done.stderr
    assert stopped.processes() == []


def test_more_connections_than_descriptors(site: Site) -> None:
    """Idle ones make the site slow, which a proxy in front prevents; but nothing of it dies."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    workers = {pid for master in site.masters().values() for pid in site.workers(master)}
    try:
        with ExitStack() as connections:
            for _ in range(1100 * len(workers)):
                connection = socket.create_connection(("127.0.0.1", site.port))
                connections.enter_context(connection)
            time.sleep(3)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    eventually(site.answers, 30)
    assert workers == {pid for master in site.masters().values() for pid in site.workers(master)}


def test_the_clock_jumps(stopped: Site, tmp_path: Path) -> None:
    """An hour forward, then two back, in every process of the site: libfaketime lies to them."""
    libraries = list(Path("/").glob(FAKETIME[1:]))
    if not libraries:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("libfaketime is not installed")
    clock = tmp_path / "clock"
    clock.write_text("+0")
    lies = {
        "LD_PRELOAD": str(libraries[0]),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    stopped.run("venv/bin/supervisord", env={**ENVIRONMENT, **lies})
    eventually(lambda: len(stopped.masters()) == 2, 20)
    for jump in ("+1h", "-1h"):
        masters = stopped.masters()
        with visitors(stopped.port) as visits:
            clock.write_text(jump)
            time.sleep(6)  # supervisord's ticks come every five seconds
        assert visits.failures == {}
        assert stopped.masters() == masters
        kill(stopped, "gu-trouble:master-1")
        eventually(lambda: len(stopped.masters()) == 2, 20)
        with visitors(stopped.port) as visits:
            stopped.supervisorctl("rolling_restart", "gu-trouble", check=True)
        assert visits.failures == {}
