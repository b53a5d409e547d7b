"""What goes wrong on real machines: the site stays up, or one clear message says why it does not."""

import os
import resource
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from load import visitors
from support.commands import ENVIRONMENT, require
from support.files import moved
from support.project import Site
from support.waiting import eventually

pytestmark = pytest.mark.slow

# The clock as every process sees it that loads this, with the offset that a file holds.
CLOCK = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile long *offset;

__attribute__((constructor)) static void find(void) {
    int file = open(getenv("CLOCK_OFFSET"), O_RDONLY);
    offset = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_REALTIME) now->tv_sec += *offset;
    return result;
}

time_t time(time_t *copy) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return copy ? (*copy = now.tv_sec) : now.tv_sec;
}
"""


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
    """The site with both masters running, and their workers."""
    stopped.start()
    stopped.await_workers()
    return stopped


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
    with visitors(stopped.port, rest=0.05) as visits:
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
        eventually(lambda: stopped.states()["gu-trouble:master-1"][0] == "FATAL", 30)
        assert stopped.states()["gu-trouble:master-2"][0] == "RUNNING"
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
        assert site.masters() == {}
    site.supervisorctl("start", "gu-trouble:*", check=True)
    eventually(site.answers, 20)


def listen(port: int) -> socket.socket | None:
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError:
        return None


def test_the_venv_is_missing(site: Site) -> None:
    """What a worker has served once it goes on serving; what it has not, it may have to load."""
    with ThreadPoolExecutor(64) as visitors:
        served = list(visitors.map(lambda _: site.get("/healthz", timeout=60).status, range(200)))
    assert set(served) == {200}
    pid = site.masters()["gu-trouble:master-1"]
    with moved(site.path / "venv"):
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: site.states()["gu-trouble:master-1"][0] == "FATAL", 30)
        assert site.states()["gu-trouble:master-2"][0] == "RUNNING"
        assert [site.get("/healthz").status for _ in range(20)] == [200] * 20
    assert "can't find command" in (site.path / "var" / "log" / "supervisord.log").read_text()
    site.supervisorctl("rolling_restart", "gu-trouble", check=True)


def test_too_few_descriptors_for_supervisord(stopped: Site) -> None:
    command = ["prlimit", "--nofile=200:200"]
    if os.geteuid() == 0:  # who could give itself more
        command += ["setpriv", "--bounding-set=-sys_resource"]
    done = stopped.run(*command, "venv/bin/supervisord", check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "The minimum number of file descriptors required" in done.stderr
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
    """An hour forward, then two back, for every process of the site and no other."""
    compiler = [require("cc"), "-shared", "-fPIC", "-x", "c", "-", "-o", f"{tmp_path}/clock.so"]
    subprocess.run(compiler, input=CLOCK, text=True, check=True)
    offset = tmp_path / "offset"
    offset.write_bytes(struct.pack("l", 0))
    clock = {"LD_PRELOAD": f"{tmp_path}/clock.so", "CLOCK_OFFSET": str(offset)}
    config = stopped.path / "deploy" / "supervisord.conf"
    text = config.read_text()
    programs = ",".join(f'{name}="{value}"' for name, value in clock.items())
    config.write_text(text.replace("[supervisord]\n", f"[supervisord]\nenvironment = {programs}\n"))
    stopped.run("venv/bin/supervisord", env={**ENVIRONMENT, **clock})
    config.write_text(text)
    eventually(lambda: len(stopped.masters()) == 2, 30)
    for hours in (1, -1):
        masters = stopped.masters()
        with visitors(stopped.port, rest=0.05) as visits:
            with offset.open("r+b") as file:
                file.write(struct.pack("l", hours * 3600))
            time.sleep(6)  # supervisord's ticks come every five seconds
        assert visits.failures == {}
        assert stopped.masters() == masters
        date = parsedate_to_datetime(stopped.get("/healthz").headers["Date"])
        assert abs(date.timestamp() - time.time() - hours * 3600) < 60  # it did jump
        kill(stopped, "gu-trouble:master-1")
        eventually(lambda: len(stopped.masters()) == 2, 30)
        with visitors(stopped.port, rest=0.05) as visits:
            stopped.supervisorctl("rolling_restart", "gu-trouble", check=True)
        assert visits.failures == {}
