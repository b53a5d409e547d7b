"""The supervisor plugin by itself, with a server of a few lines."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import xmlrpc.client
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.commands import ENVIRONMENT, Run
from support.ports import free_port
from support.project import Project, states
from support.waiting import eventually

pytestmark = pytest.mark.slow

# Two files tell a server how to start: how many seconds it loads, and whether it then fails.
SERVER = """
import os, pathlib, socket, sys, time

time.sleep(float(pathlib.Path("loading").read_text()))
if pathlib.Path("broken").exists():
    sys.exit(1)
notify = os.environ["NOTIFY_SOCKET"].replace("@", chr(0))
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", notify)
listener = socket.socket(fileno=0)
while True:
    connection, _ = listener.accept()
    connection.sendall(str(os.getpid()).encode())
    connection.close()
"""
CONFIG = """
[unix_http_server]
file = %(here)s/ctl.sock
[inet_http_server]
port = 127.0.0.1:{web_port}
[supervisord]
logfile = %(here)s/supervisord.log
pidfile = %(here)s/supervisord.pid
directory = %(here)s
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[rpcinterface:supervisor_plugin]
supervisor.rpcinterface_factory = supervisor_plugin.server:make_rpcinterface
[supervisorctl]
serverurl = unix://%(here)s/ctl.sock
[ctlplugin:supervisor_plugin]
supervisor.ctl_factory = supervisor_plugin.rolling_restart:RollingRestart
[program:alone]
command = sleep 1000
"""
# supervisord waits until it may kill it.
STUBBORN = """
[program:stubborn]
command = sh -c "trap '' TERM; sleep 1000"
stopwaitsecs = 5
killasgroup = true
"""
PAIR = """
[fcgi-program:pair]
socket = tcp://127.0.0.1:{port}
command = {python} server.py
process_name = %(process_num)d
numprocs = 2
autorestart = true
startretries = 1
stdout_logfile = %(here)s/pair-%(process_num)d.log
"""
REMEDY = "Stop the program that listens there, or change the address in deploy/supervisord.conf."


@dataclass
class Daemon:
    """A supervisord with a pair of servers on one socket."""

    folder: Path
    plugin: Path
    port: int
    web_port: int

    @property
    def environment(self) -> dict[str, str]:
        return {**ENVIRONMENT, "PYTHONPATH": str(self.plugin)}

    def command(self, name: str, *arguments: str) -> list[str]:
        return [f"{sys.prefix}/bin/{name}", "-c", f"{self.folder}/supervisord.conf", *arguments]

    def run(self, command: str, *arguments: str) -> Run:
        return subprocess.run(
            self.command(command, *arguments),
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def ctl(self, *arguments: str) -> Run:
        return self.run("supervisorctl", *arguments)

    @contextmanager
    def begin(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """supervisorctl, without waiting for it; a minute is the most that it may take."""
        pipe = subprocess.PIPE
        command = self.command("supervisorctl", *arguments)
        with subprocess.Popen(
            command, env=self.environment, stdout=pipe, stderr=pipe, text=True
        ) as process:
            timer = threading.Timer(60, process.kill)
            timer.start()
            yield process
            timer.cancel()

    @property
    def pid(self) -> int:
        return int((self.folder / "supervisord.pid").read_text())

    def log(self) -> str:
        return (self.folder / "supervisord.log").read_text()

    def configure(self, port: int | None) -> None:
        """Writes the config, with the pair on this port or without it."""
        config = CONFIG.format(web_port=self.web_port)
        if port:
            config += PAIR.format(port=port, python=sys.executable)
        (self.folder / "supervisord.conf").write_text(config)

    def change(self, old: str, new: str) -> None:
        path = self.folder / "supervisord.conf"
        config = path.read_text()
        assert old in config
        path.write_text(config.replace(old, new))

    def will(self, loading: float = 0, broken: bool = False) -> None:
        """Tells the servers how to start."""
        (self.folder / "loading").write_text(str(loading))
        if broken:
            (self.folder / "broken").touch()
        else:
            (self.folder / "broken").unlink(missing_ok=True)

    def states(self) -> dict[str, str]:
        return {name: state for name, (state, _) in states(self.folder / "ctl.sock").items()}

    def all_run(self) -> bool:
        return set(self.states().values()) == {"RUNNING"}

    def pids(self) -> list[int]:
        """Those of the pair; 0 for what does not run."""
        found = states(self.folder / "ctl.sock")
        return [found[f"pair:{number}"][1] for number in (0, 1)]

    def ask(self, timeout: float = 10) -> int:
        """The pid of the server that answers."""
        with socket.create_connection(("127.0.0.1", self.port), timeout) as connection:
            return int(connection.recv(100) or 0)

    def answers(self) -> bool:
        try:
            return self.ask() != 0
        except OSError:
            return False

    def refuses(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except ConnectionRefusedError:
            return True
        except ConnectionResetError:  # it came while the socket was being closed
            return False
        return False


@pytest.fixture(scope="module")
def plugin(bake: Callable[..., Project]) -> Path:
    return bake().path / "deploy"


@contextmanager
def supervisord(plugin: Path, short_folder: Path) -> Iterator[Daemon]:
    folder = Path(tempfile.mkdtemp(dir=short_folder))
    daemon = Daemon(folder, plugin, free_port(), free_port())
    (folder / "server.py").write_text(SERVER)
    daemon.will(loading=0)
    daemon.configure(daemon.port)
    done = daemon.run("supervisord")
    assert done.returncode == 0, done.stderr
    assert daemon.ask()  # Nobody is refused from the moment it has returned.
    eventually(daemon.all_run)
    yield daemon
    pid = daemon.pid
    daemon.ctl("shutdown")
    eventually(lambda: not Path(f"/proc/{pid}").exists(), 30)


@pytest.fixture(scope="module")
def started(plugin: Path, short_folder: Path) -> Iterator[Daemon]:
    with supervisord(plugin, short_folder) as started:
        yield started


@pytest.fixture
def daemon(started: Daemon) -> Daemon:
    """The daemon, with everything running, whatever the test before did to it."""
    started.will(loading=0)
    started.configure(started.port)
    started.ctl("start", "all")
    eventually(started.all_run, 30)
    return started


@contextmanager
def asking(daemon: Daemon) -> Iterator[Counter[bool]]:
    """Asks all the time during the `with` block, and counts the answers by whether they came."""
    answers: Counter[bool] = Counter()
    stop = threading.Event()

    def ask() -> None:
        while not stop.wait(0.02):
            try:
                answers[daemon.ask(timeout=3) != 0] += 1
            except OSError:
                answers[False] += 1

    client = threading.Thread(target=ask)
    client.start()
    yield answers
    stop.set()
    client.join()


def when(daemon: Daemon, text: str) -> datetime:
    """When supervisord last wrote this into its log."""
    line = next(line for line in reversed(daemon.log().splitlines()) if text in line)
    return datetime.strptime(" ".join(line.split()[:2]), "%Y-%m-%d %H:%M:%S,%f")


def await_in_log(daemon: Daemon, text: str, times: int) -> None:
    """Returns once the log has the text as often. A question to supervisord would wake it up."""
    eventually(lambda: daemon.log().count(text) == times)


def test_programs_start_at_once(daemon: Daemon) -> None:
    """supervisord by itself waits a second; the quickest of three tells, on a busy machine too."""
    waits, spawned = [], "spawned: 'alone'"
    for _ in range(3):
        before = daemon.log().count(spawned)
        daemon.ctl("reload")
        await_in_log(daemon, spawned, before + 1)
        waits.append(when(daemon, spawned) - when(daemon, "supervisord started"))
    assert min(waits) < timedelta(seconds=0.5)


def test_a_restart_goes_on_at_once(daemon: Daemon) -> None:
    """As above: what has stopped is started again without a second in between."""
    waits = []
    for _ in range(3):
        daemon.ctl("restart", "all")
        waits.append(when(daemon, "spawned: 'alone'") - when(daemon, "stopped: alone"))
    assert min(waits) < timedelta(seconds=0.5)


@pytest.mark.parametrize("name", ["all", "pair:*"])
def test_a_restart_refuses_nobody(daemon: Daemon, name: str) -> None:
    old = daemon.pids()
    with asking(daemon) as answers:
        assert daemon.ctl("restart", name).returncode == 0
    assert answers[True] > 0
    assert answers[False] <= 2  # the servers do not end gracefully: each may cut one answer
    assert not set(old) & set(daemon.pids())


def test_killing_every_server_refuses_nobody(daemon: Daemon) -> None:
    daemon.will(loading=1)
    killed = daemon.pids()
    with asking(daemon) as answers:
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: daemon.ask() not in killed and answers[True])
    assert answers[True] > 0
    assert answers[False] <= 2  # what was in the hands of the killed ones


def test_a_stop_lets_go_of_the_socket(daemon: Daemon) -> None:
    daemon.ctl("stop", "pair:*")
    eventually(daemon.refuses, 15)
    assert daemon.ctl("start", "pair:*").returncode == 0
    assert daemon.ask()
    assert daemon.ctl("restart", "pair:*").returncode == 0  # it is held again
    assert daemon.ask()


def test_a_group_that_fails_lets_go_of_the_socket(daemon: Daemon) -> None:
    daemon.will(broken=True)
    assert daemon.ctl("restart", "pair:*").returncode != 0
    eventually(lambda: daemon.states()["pair:0"] == daemon.states()["pair:1"] == "FATAL", 30)
    eventually(daemon.refuses, 15)


def test_update_moves_adds_and_removes_a_group(daemon: Daemon) -> None:
    old, daemon.port = daemon.port, free_port()
    daemon.configure(daemon.port)
    assert daemon.ctl("update").returncode == 0
    eventually(daemon.answers)
    new, daemon.port = daemon.port, old
    assert daemon.refuses()

    daemon.configure(None)
    assert daemon.ctl("update").returncode == 0
    daemon.port = new
    assert daemon.refuses()

    daemon.configure(daemon.port)
    assert daemon.ctl("update").returncode == 0
    eventually(daemon.answers)


def test_reload_takes_the_socket_again(daemon: Daemon) -> None:
    before = daemon.pids()
    assert daemon.ctl("reload").returncode == 0
    eventually(lambda: daemon.ctl("status").returncode == 0 and daemon.pids() != before, 20)
    assert daemon.ask()
    eventually(daemon.all_run)
    assert daemon.ctl("rolling_restart", "pair").returncode == 0
    assert daemon.ask()


def test_rolling_restart_goes_one_by_one(daemon: Daemon) -> None:
    """A server that loads for longer than startsecs is waited for: the other serves meanwhile."""
    old = daemon.pids()
    daemon.will(loading=5)
    with asking(daemon) as answers:
        done = daemon.ctl("rolling_restart", "pair")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "pair:0: restarting (1 of 2)",
        "pair:0: running",
        "pair:1: restarting (2 of 2)",
        "pair:1: running",
    ]
    assert answers[True] > 0
    assert answers[False] <= 2
    assert not set(old) & set(daemon.pids())


@pytest.mark.parametrize("loading", [0, 3])
def test_rolling_restart_stops_where_one_fails(daemon: Daemon, loading: int) -> None:
    """At once, or after supervisord has called it RUNNING: the other is left alone."""
    _, untouched = daemon.pids()
    daemon.will(loading, broken=True)
    done = daemon.ctl("rolling_restart", "pair:*")
    assert done.returncode == 1
    # This program's errors have a log of their own, which supervisord names by itself.
    words = (
        r"pair:0 did not come up: \S*/0-stderr---\S+\.log tells why. The rest was left as it is.\n"
    )
    assert re.fullmatch(words, done.stderr)
    assert daemon.ask() == untouched

    # Once it is mended, the one that failed is the first to be started.
    daemon.will(loading=0)
    eventually(lambda: daemon.states()["pair:0"] in ("FATAL", "RUNNING"), 30)
    done = daemon.ctl("rolling_restart", "pair")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("pair:0: restarting (1 of 2)\n")
    assert untouched not in daemon.pids()


def test_rolling_restart_starts_what_was_stopped_first(daemon: Daemon) -> None:
    daemon.ctl("stop", "pair:1")
    done = daemon.ctl("rolling_restart", "pair")
    assert done.returncode == 0
    assert done.stdout.startswith("pair:1: restarting (1 of 2)\n")
    assert daemon.all_run()


def test_rolling_restart_of_a_program_that_reports_nothing(daemon: Daemon) -> None:
    done = daemon.ctl("rolling_restart", "alone")
    assert (done.returncode, done.stdout) == (
        0,
        "alone: restarting (1 of 1)\nalone: running\n",
    )


def test_rolling_restart_says_what_it_wants(daemon: Daemon) -> None:
    done = daemon.ctl("rolling_restart")
    assert (done.returncode, done.stderr) == (1, "Name a group: alone, pair.\n")
    done = daemon.ctl("rolling_restart", "pair", "wrong")
    message = "There is no group wrong; there are: alone, pair.\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", message)
    done = daemon.ctl("help", "rolling_restart")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1)
    assert done.stdout.startswith("rolling_restart <gname> [...]|all\t")
    assert "rolling_restart" in daemon.ctl("help").stdout
    assert "No help" not in daemon.ctl("help", "restart").stdout


def test_an_interrupted_rolling_restart_says_what_to_do(daemon: Daemon) -> None:
    daemon.will(loading=5)
    old, _ = daemon.pids()
    with daemon.begin("rolling_restart", "pair") as asked:
        assert asked.stdout
        assert asked.stdout.readline() == "pair:0: restarting (1 of 2)\n"
        eventually(lambda: daemon.pids()[0] not in (old, 0))
        asked.send_signal(signal.SIGINT)
        _, message = asked.communicate(timeout=10)
    assert message == "Interrupted. If it is stopped: supervisorctl start pair:0\n"
    assert asked.returncode == 1
    assert daemon.ask()


def test_a_rolling_restart_that_is_ended_leaves_nothing_stopped(daemon: Daemon) -> None:
    """As release.sh does when it is interrupted: what is under way is finished."""
    daemon.will(loading=2)
    _, untouched = daemon.pids()
    with daemon.begin("rolling_restart", "pair") as ended:
        assert ended.stdout
        ended.stdout.readline()
        ended.terminate()
        said, fault = ended.communicate(timeout=20)
    assert (said, fault) == ("pair:0: running\n", "Interrupted before pair:1.\n")
    assert ended.returncode == 1
    assert daemon.all_run()
    assert daemon.pids()[1] == untouched


def test_two_rolling_restarts_do_not_meet(daemon: Daemon) -> None:
    with daemon.begin("rolling_restart", "pair") as first:
        assert first.stdout
        first.stdout.readline()
        first.send_signal(signal.SIGSTOP)  # however long the second takes
        second = daemon.ctl("rolling_restart", "alone")
        first.send_signal(signal.SIGCONT)
        said, fault = first.communicate()
    message = "Another rolling_restart is under way: wait for its end.\n"
    assert (second.returncode, second.stdout, second.stderr) == (1, "", message)
    assert (first.returncode, fault) == (0, "")
    assert said.splitlines()[-1] == "pair:1: running"


def test_a_killed_rolling_restart_locks_nobody_out(daemon: Daemon) -> None:
    daemon.will(loading=2)
    with daemon.begin("rolling_restart", "pair") as killed:
        assert killed.stdout
        killed.stdout.readline()
        killed.kill()
    assert daemon.ctl("rolling_restart", "pair").returncode == 0


# A config that cannot work, as a change of the good one, with the sentence's reason.
BROKEN = {
    "an address of another machine": (
        "tcp://127.0.0.1:{port}",
        "tcp://192.0.2.1:{port}",
        "tcp://192.0.2.1:{port}: Cannot assign requested address. {REMEDY}",
    ),
    "a taken address": (
        "tcp://127.0.0.1:{port}",
        "tcp://127.0.0.1:{taken}",
        "tcp://127.0.0.1:{taken}: Address already in use. {REMEDY}",
    ),
    "a taken address of the web interface": (
        "127.0.0.1:{web_port}",
        "127.0.0.1:{taken}",
        "tcp://127.0.0.1:{taken}: Address already in use. {REMEDY}",
    ),
    "one address twice": (
        "127.0.0.1:{web_port}",
        "127.0.0.1:{port}",
        "tcp://127.0.0.1:{port}, tcp://127.0.0.1:{port}: Address already in use.",
    ),
    "a folder that is not there": (
        "tcp://127.0.0.1:{port}",
        "unix://{folder}/none/pair.sock",
        "unix://{folder}/none/pair.sock: No such file or directory. {REMEDY}",
    ),
    "a file that is no socket": (
        "tcp://127.0.0.1:{port}",
        "unix://{folder}/server.py",
        "unix://{folder}/server.py: Address already in use. {REMEDY}",
    ),
    "no number": (
        "startretries = 1",
        "startretries = two",
        "Error: invalid literal for int() with base 10: 'two'"
        + " in section 'fcgi-program:pair' (file: '{folder}/supervisord.conf')",
    ),
    "a program that is not there": (
        "sleep 1000",
        "sleeep 1000",
        "[alone] can't find command 'sleeep'",
    ),
    "a directory that is not there": (
        "command = sleep",
        "directory = /none\ncommand = sleep",
        "[alone] directory = /none: No such file or directory",
    ),
}


@pytest.fixture(params=BROKEN)
def refusal(daemon: Daemon, request: pytest.FixtureRequest) -> Iterator[str]:
    """What supervisord says of a broken config, which it finds."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        values = {**vars(daemon), "taken": holder.getsockname()[1], "REMEDY": REMEDY}
        old, new, reason = (text.format(**values) for text in BROKEN[request.param])
        daemon.change(old, new)
        begin = "deploy/supervisord.conf is refused, and everything goes on as before."
        yield f"{begin} {reason}\n"


def test_a_config_that_cannot_work_changes_nothing(daemon: Daemon, refusal: str) -> None:
    before = daemon.ctl("pid", "all").stdout, daemon.ctl("avail").stdout
    for command in ("update", "reload"):
        done = daemon.ctl(command)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", refusal)
    done = daemon.ctl("reread")
    assert (done.returncode, done.stdout) == (1, f"ERROR: {refusal}")
    logged = daemon.log().count(refusal)
    assert logged == 3
    os.kill(daemon.pid, signal.SIGHUP)
    await_in_log(daemon, refusal, logged + 1)
    assert before == (daemon.ctl("pid", "all").stdout, daemon.ctl("avail").stdout)
    assert daemon.ask()
    assert "import" in (daemon.folder / "server.py").read_text()


def test_update_takes_what_the_old_group_still_holds(daemon: Daemon) -> None:
    """Its address in a wider one, or under another name; its UNIX socket with another setting."""
    tcp, unix = f"tcp://127.0.0.1:{daemon.port}", f"unix://{daemon.folder}/pair.sock"
    wide, named = tcp.replace("127.0.0.1", "0.0.0.0"), tcp.replace("127.0.0.1", "localhost")
    for old, new in ((tcp, wide), (wide, named), (named, unix), ("retries = 1", "retries = 2")):
        daemon.change(old, new)
        done = daemon.ctl("update")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "pair: stopped\npair: updated process group\n"
        eventually(daemon.all_run)
    daemon.configure(daemon.port)
    assert daemon.ctl("update").returncode == 0
    eventually(daemon.answers)


def test_a_socket_taken_meanwhile_is_a_failed_start(daemon: Daemon) -> None:
    daemon.ctl("stop", "pair:*")
    eventually(daemon.refuses, 15)
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", daemon.port))
        holder.listen()
        done = daemon.ctl("start", "pair:0")
        assert (done.returncode, done.stdout) == (7, "pair:0: ERROR (spawn error)\n")
        address = f"tcp://127.0.0.1:{daemon.port}"
        assert f" {address}: Address already in use. {REMEDY}" in daemon.ctl("status").stdout
    daemon.ctl("start", "all")
    eventually(daemon.all_run)
    assert daemon.ask()


@pytest.fixture
def stubborn(daemon: Daemon) -> Daemon:
    """Its shutdown takes five seconds."""
    with (daemon.folder / "supervisord.conf").open("a") as config:
        config.write(STUBBORN)
    daemon.ctl("update")
    eventually(daemon.all_run)
    return daemon


SHUTDOWN = ["Shut down", "Its programs finish what they have begun; Ctrl-C ends only the waiting."]


def test_after_a_shutdown_it_can_start_at_once(stubborn: Daemon) -> None:
    commands = stubborn.command("supervisorctl", "shutdown"), stubborn.command("supervisord")
    script = " && ".join(map(subprocess.list2cmdline, commands))
    done = subprocess.run(
        script, shell=True, env=stubborn.environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (0, SHUTDOWN, "")
    assert stubborn.ask()


def test_who_does_not_wait_for_a_shutdown_does_not_stop_it(stubborn: Daemon) -> None:
    with stubborn.begin("shutdown") as asked:
        assert asked.stdout
        assert [asked.stdout.readline().rstrip() for _ in SHUTDOWN] == SHUTDOWN
        asked.send_signal(signal.SIGINT)
        _, message = asked.communicate()
    assert (asked.returncode, message) == (1, "supervisord goes on ending by itself.\n")
    eventually(lambda: stubborn.ctl("status").returncode == 4, 20)
    assert stubborn.run("supervisord").returncode == 0


def test_any_log_is_shown(daemon: Daemon) -> None:
    """Half a letter, control characters, what is no UTF-8, and what is no character in XML."""
    log = daemon.folder / "pair-0.log"
    log.write_bytes("é".encode() * 900 + b"\n\x1b[1mbold\0\xff \xef\xbf\xbf \xc2\x9b\n")
    line = "\ufffd[1mbold\ufffd\ufffd \ufffd \ufffd\n"
    url = f"http://127.0.0.1:{daemon.web_port}"
    for odd in (0, 1):
        assert daemon.ctl("tail", f"-{1024 + odd}", "pair:0").stdout.endswith(f"é\n{line}\n")
        address = f"{url}/tail.html?processname=pair:0&limit={1024 + odd}"
        with urllib.request.urlopen(address) as page:
            assert line in page.read().decode()
    supervisor: Any = xmlrpc.client.ServerProxy(url).supervisor
    assert supervisor.tailProcessStdoutLog("pair:0", 0, 10_000)[0].endswith(line)

    latin = {**daemon.environment, "PYTHONIOENCODING": "latin-1"}
    command = daemon.command("supervisorctl", "tail", "-40", "pair:0")
    shown = subprocess.run(command, env=latin, capture_output=True, check=True).stdout
    assert shown.endswith(line.replace("\ufffd", "?").encode() + b"\n")

    with (daemon.folder / "supervisord.log").open("ab") as main:
        main.write(b"\x1bcaf\xc3\xa9\n")
    assert daemon.ctl("maintail", "-2").stdout == "\ufffd\n\n"
    assert daemon.ctl("maintail", "-7").stdout == "\ufffdcafé\n\n"


def test_a_log_is_followed_letter_by_letter(daemon: Daemon) -> None:
    log = daemon.folder / "pair-0.log"
    log.write_bytes(b"begun\n")
    shown = {b"\xa9\n": "café\n", b"\x1b[2J\xff\n": "\ufffd[2J\ufffd\n"}
    with daemon.begin("tail", "-f", "pair:0") as follower:
        assert follower.stdout
        follower.stdout.readline()  # how to end it
        assert follower.stdout.readline() == "begun\n"
        for piece in (b"caf\xc3", *shown):
            with log.open("ab") as file:
                file.write(piece)
            if piece in shown:
                assert follower.stdout.readline() == shown[piece]
            else:
                time.sleep(0.5)  # it is sent alone
        log.write_bytes(b"")
        assert follower.stdout.readline() == "==> File truncated <==\n"
        follower.send_signal(signal.SIGINT)


@pytest.fixture
def impatient(plugin: Path, short_folder: Path) -> Iterator[Daemon]:
    """A supervisord that tries again after a second, then after twelve."""
    copy = Path(tempfile.mkdtemp(dir=short_folder))
    for package in ("supervisor_plugin", "server"):
        shutil.copytree(plugin / package, copy / package)
    module = copy / "supervisor_plugin" / "retries.py"
    text = module.read_text()
    assert "\nDISTANCES = (60, 300, 900, 3600)\n" in text
    module.write_text(text.replace("(60, 300, 900, 3600)", "(1, 12)"))
    with supervisord(copy, short_folder) as daemon:
        yield daemon


def test_what_has_failed_is_tried_again(impatient: Daemon) -> None:
    """At growing distances, until it runs; a stop ends that, a start by hand begins anew."""
    daemon = impatient
    planned = "pair:1 FATAL: Exited too quickly (process log may have details); next try at "

    def distance(number: int) -> timedelta:
        """From when it was given up, after as many times, to its next start."""
        await_in_log(daemon, planned, number)
        before = daemon.log().count("spawned: '1'")
        eventually(lambda: daemon.log().count("spawned: '1'") > before, 30)
        return when(daemon, "spawned: '1'") - when(daemon, planned)

    daemon.will(broken=True)
    assert daemon.ctl("restart", "pair:*").returncode == 7
    assert distance(1) < timedelta(seconds=12)
    await_in_log(daemon, planned, 2)
    shown = daemon.ctl("status", "pair:1").stdout
    assert "FATAL     " + planned.removeprefix("pair:1 FATAL: ") in shown

    assert daemon.ctl("stop", "pair:0").stdout == "pair:0: stopped\n"
    assert distance(2) >= timedelta(seconds=12)
    assert daemon.states()["pair:0"] == "STOPPED"

    await_in_log(daemon, planned, 3)
    assert daemon.ctl("start", "pair:1").returncode == 7
    assert distance(4) < timedelta(seconds=12)
    daemon.will(loading=0)
    eventually(lambda: daemon.states()["pair:1"] == "RUNNING", 30)
    assert daemon.states()["pair:0"] == "STOPPED"
    daemon.ctl("stop", "all")
    assert {*daemon.states().values()} == {"STOPPED"}


def test_nobody_can_speak_for_another_process(daemon: Daemon) -> None:
    """A message counts for the process that sent it: one from elsewhere changes nothing."""
    daemon.will(loading=30)
    pid = daemon.pids()[0]
    environment = dict(
        line.split("=", 1)
        for line in Path(f"/proc/{pid}/environ").read_text().split("\0")
        if "=" in line
    )
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: daemon.pids()[0] not in (pid, 0))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"READY=1", environment["NOTIFY_SOCKET"].replace("@", "\0"))
    call = "import os, sys; from supervisor.childutils import getRPCInterface as get;"
    call += " print(get(os.environ).supervisor_plugin.getReadyProcesses())"
    asked = subprocess.run(
        [sys.executable, "-c", call],
        env={"SUPERVISOR_SERVER_URL": f"unix://{daemon.folder}/ctl.sock"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert asked.stdout == "['pair:1']\n"
