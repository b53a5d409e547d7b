"""The init script, run as root on this machine: the exit codes are those of LSB Core 5.0, 22.2.

The tests stand in the order that starts and stops the site least; each works alone too.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.commands import ENVIRONMENT, Run, lack, require
from support.files import moved
from support.pages import SLOW_PAGE, answer_while
from support.ports import free_port
from support.project import Project, Site
from support.service_files import filled, name_folder
from support.template import LANGUAGES

pytestmark = pytest.mark.slow

USER = "www-data"
ACTIONS = ("start", "stop", "restart", "try-restart", "reload", "force-reload", "status")


@dataclass
class Server(Site):
    """A site in its folder, and its init script where only root may write."""

    script: Path = Path()

    def init(
        self, *arguments: str, code: int = 0, shell: tuple[str, ...] = ("sh",), **options: Any
    ) -> Run:
        """Runs the init script, which must end with this exit code, in a bad environment."""
        environment = {**ENVIRONMENT, "DEBUG": "on", "SECRET_KEY": "x"}
        options = {"env": environment, "umask": 0, **options}
        done = self.run(*shell, str(self.script), *arguments, check=False, **options)
        assert done.returncode == code, (
            f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done

    @property
    def pidfile(self) -> Path:
        return self.path / "var" / "supervisord.pid"

    def stop(self) -> None:
        """Ends every process of the site, however the test left it."""
        try:
            self.init("stop")
        finally:
            while pids := self.processes():
                for pid in pids:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def root_folder() -> Iterator[Path]:
    """A short folder of root's that everybody may enter; without root there is nothing to test."""
    if os.geteuid() != 0:
        lack("the init script is tested as root")
    if USER not in {entry.pw_name for entry in pwd.getpwall()}:
        lack(f"there is no user {USER}")
    with tempfile.TemporaryDirectory(prefix="dgs") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture(scope="module")
def made(bake: Callable[..., Project], root_folder: Path) -> Iterator[Server]:
    """A site with a slow page, bootstrapped by the user who runs it."""
    path, home, tools = (root_folder / name for name in ("site", "home", "tools"))
    port, web_port = free_port(), free_port()
    project = bake(
        run_user=USER,
        bind=f"127.0.0.1:{port}",
        web_interface=f"127.0.0.1:{web_port}",
        project_slug="chess",
    )
    name_folder(project.path, path)
    shutil.copytree(project.path, path)
    (path / "current").symlink_to(".")  # it is its own release
    with (path / "chess" / "urls.py").open("a") as urls:
        urls.write(SLOW_PAGE)
    # Some twenty starts wait for it.
    config = path / "deploy" / "supervisord.conf"
    config.write_text(config.read_text().replace("startsecs = 2", "startsecs = 1"))
    home.mkdir()
    tools.mkdir()
    # Not the tests' own venv: a Python below root's home could not be run by another user.
    shutil.copy(Path(sys.executable).parent / "uv", tools)
    script = tools / "supervisord"
    script.write_text(filled(project, "init.d/supervisord"))
    subprocess.run(["chown", "-R", f"{USER}:", path, home], check=True)
    environment = {**ENVIRONMENT, "HOME": str(home), "PATH": f"{tools}:/usr/bin:/bin"}
    server = Server(path, port, web_port, script)
    server.run("./bootstrap.sh", env=environment, user=USER, group=USER, extra_groups=[])
    yield server
    server.stop()


@pytest.fixture
def stopped(made: Server) -> Server:
    """The site, not running, whatever the test before did to it."""
    made.stop()
    return made


@pytest.fixture
def running(made: Server) -> Server:
    """The site, running with all its workers, whatever the test before did to it."""
    made.init("start")
    made.await_workers()
    return made


@contextmanager
def appended(file: Path, text: str) -> Iterator[None]:
    """The file with this text at its end, for a while."""
    before = file.read_text()
    file.write_text(before + text)
    try:
        yield
    finally:
        file.write_text(before)


@contextmanager
def namesake(folder: Path, *command: str, **options: Any) -> Iterator[int]:
    """The pid of a process that is called supervisord and is none; it must live to the end."""
    program = shutil.copy(require("sleep"), folder / "supervisord")
    with subprocess.Popen([*command, "60"], executable=program, **options) as process:
        try:
            yield process.pid
            assert process.poll() is None
        finally:
            process.kill()


def privately(command: str, *shell: str) -> tuple[str, ...]:
    """A shell that sees the machine as this command has changed it; nobody else does."""
    return (require("unshare"), "--mount", "sh", "-c", f'{command}; exec "$@"', "sh", *shell)


def in_background(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.parametrize("language", LANGUAGES)
def test_its_header_says_when_to_run_it(bake: Callable[..., Project], language: str) -> None:
    """As LSB Core 5.0, 22.3, "Comment Conventions for Init Scripts", has it."""
    text = filled(bake(language=language), "init.d/supervisord")
    begin, end = "### BEGIN INIT INFO\n", "### END INIT INFO\n"
    lines = text[text.index(begin) + len(begin) : text.index(end)].splitlines()
    header = dict(line.removeprefix("# ").split(":", 1) for line in lines)
    assert {name: header[name].split() for name in list(header)[:6]} == {
        "Provides": ["supervisord"],
        "Required-Start": ["$local_fs", "$remote_fs", "$network"],
        "Required-Stop": ["$local_fs", "$remote_fs", "$network"],
        "Should-Start": ["$named", "$time"],
        "Default-Start": ["2", "3", "4", "5"],
        "Default-Stop": ["0", "1", "6"],
    }
    assert list(header)[6:] == ["Short-Description", "Description"]


CONTROL = """Package: site
Version: 1
Architecture: all
Maintainer: The webmaster <webmaster@example.com>
Description: a package around the script
"""


@pytest.mark.parametrize("language", LANGUAGES)
def test_lintian_finds_nothing_in_it(
    bake: Callable[..., Project], folder: Path, language: str
) -> None:
    package = folder / "package"
    script = package / "etc" / "init.d" / "supervisord"
    script.parent.mkdir(parents=True)
    script.write_text(filled(bake(language=language), "init.d/supervisord"))
    script.chmod(0o755)
    (package / "DEBIAN").mkdir()
    (package / "DEBIAN" / "control").write_text(CONTROL)
    (package / "DEBIAN" / "conffiles").write_text("/etc/init.d/supervisord\n")
    built = str(folder / "site.deb")
    command = [require("dpkg-deb"), "--root-owner-group", "--build", str(package), built]
    subprocess.run(command, check=True, capture_output=True)
    lintian = [require("lintian"), "--allow-root", "--display-info", "--pedantic", built]
    said = subprocess.run(
        lintian, env=ENVIRONMENT, capture_output=True, text=True, check=False
    ).stdout
    found = {line.split()[2] for line in said.splitlines() if "init.d" in line}
    # These two are of the package, which would have to register it: install.sh does that.
    assert found == {
        "missing-systemd-service-for-init.d-script",
        "script-in-etc-init.d-not-registered-via-update-rc.d",
    }


@pytest.mark.parametrize(
    ("language", "answers", "sentence"),
    [
        ("en", {"run_user": "no_such_user"}, "there is no user no_such_user: create it, or name"),
        ("fr", {"run_user": "no_such_user"}, "il n'y a pas d'utilisateur no_such_user : créez-le"),
        (
            "en",
            {"install_dir": "/srv/nothing"},
            "/srv/nothing/current/venv/bin cannot be used by ww",
        ),
        (
            "fr",
            {"install_dir": "/srv/nothing"},
            "/srv/nothing/current/venv/bin est inutilisable par",
        ),
    ],
)
@pytest.mark.usefixtures("root_folder")
def test_it_says_what_is_not_installed(
    bake: Callable[..., Project], language: str, answers: dict[str, str], sentence: str
) -> None:
    project = bake(language=language, **answers)
    server = Server(project.path, script=project.path / "init")
    server.script.write_text(filled(project, "init.d/supervisord"))
    for action in ("start", "restart"):
        done = server.init(action, code=5)
        assert done.stderr.startswith(f"supervisord: {sentence}")
        assert done.stderr.count("\n") == 1
    server.init("status", code=3)
    server.init("stop")


@pytest.mark.parametrize("arguments", [[], ["sing"]])
def test_it_refuses_other_actions(made: Server, arguments: list[str]) -> None:
    done = made.init(*arguments, code=2)
    assert done.stderr == f"supervisord: usage: {made.script} {{{'|'.join(ACTIONS)}}}\n"


def test_what_is_stopped_stays_stopped(stopped: Server) -> None:
    assert stopped.init("status", code=3).stderr == "supervisord: it does not run.\n"
    stopped.init("stop")
    stopped.init("try-restart")
    stopped.init("reload", code=7)
    stopped.init("force-reload", code=7)
    assert stopped.processes() == []


@pytest.mark.parametrize(
    ("setting", "action", "code", "sentence"),
    [
        ("RUN_USER=root", "start", 6, "a site must not run as root: name another user in /etc/d"),
        ("RUN_USER=root", "status", 6, "a site must not run as root: name another user in /etc/d"),
        ("RUN_USER=no_such_user", "start", 5, "there is no user no_such_user"),
        ("DIR=/srv/nothing", "start", 5, "/srv/nothing/current/venv/bin cannot be used"),
    ],
)
def test_etc_default_may_set_user_and_folder(
    stopped: Server, setting: str, action: str, code: int, sentence: str
) -> None:
    write = f"mount -t tmpfs tmpfs /etc/default && echo {setting} >/etc/default/supervisord"
    done = stopped.init(action, code=code, shell=privately(write, "sh"))
    assert done.stderr.startswith(f"supervisord: {sentence}")
    assert stopped.processes() == []


@pytest.mark.parametrize("found", ["", "garbage", "-1", "1", "../self"])
def test_a_pid_file_of_nothing_means_dead(stopped: Server, found: str) -> None:
    stopped.pidfile.write_text(found)
    stopped.init("status", code=1)
    stopped.init("reload", code=7)
    stopped.init("try-restart")
    stopped.init("stop")
    stopped.init("status", code=3)


def test_stop_ends_no_process_of_another_user(stopped: Server, root_folder: Path) -> None:
    """Who breaks into the site can write any pid into its pid file."""
    with namesake(root_folder, f"{stopped.path}/current/venv/bin/supervisord") as pid:
        stopped.pidfile.write_text(str(pid))
        done = stopped.init("stop", code=1)
        assert f"process {pid} was not started by {USER}" in done.stderr
    stopped.init("status", code=1)


def test_start_says_that_the_password_is_missing(stopped: Server) -> None:
    with moved(stopped.path / "deploy" / "web_interface.conf"):
        done = stopped.init("start", code=6)
    assert "incomplete authentication" in done.stderr
    assert done.stderr.count("\n") == 1
    assert stopped.processes() == []


def test_start_says_that_a_port_is_taken_and_leaves_nothing_behind(stopped: Server) -> None:
    for port, reason in (
        (stopped.port, f"tcp://127.0.0.1:{stopped.port}: [Errno 98] Address already in use"),
        (stopped.web_port, "Another program is already listening on a port"),
    ):
        with socket.socket() as holder:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", port))
            holder.listen()
            done = stopped.init("start", code=1)
        assert reason in done.stderr
        assert done.stderr.count("\n") == 1
        assert stopped.processes() == []
        stopped.init("status", code=3)
    stopped.init("restart")


def test_start_returns_once_the_site_answers(stopped: Server) -> None:
    done = stopped.init("start")
    assert stopped.get("/healthz").status == 200
    assert len(stopped.masters()) == 2
    assert done.stdout.startswith("Waiting for the site ")
    assert done.stderr == ""
    assert "\nMade by django-gunicorn-supervisor " in stopped.init("status").stdout

    stopped.await_workers()
    pids = stopped.processes()
    stopped.init("start")
    assert stopped.processes() == pids


def test_nothing_of_root_reaches_the_site(running: Server) -> None:
    user = pwd.getpwnam(USER)
    pids = running.processes()
    assert len(pids) >= 5
    for pid in pids:
        process = Path(f"/proc/{pid}")
        status = dict(line.split(":\t") for line in (process / "status").read_text().splitlines())
        assert set(status["Uid"].split()) == {str(user.pw_uid)}
        assert set(status["Gid"].split()) == {str(user.pw_gid)}
        assert status["Groups"].split() == [str(user.pw_gid)]
        variables = (process / "environ").read_text().rstrip("\0").split("\0")
        inherited = dict(variable.split("=", 1) for variable in variables)
        assert inherited["HOME"] == str(running.path)
        assert not inherited.keys() & {"DEBUG", "SECRET_KEY", "LC_ALL"}
    assert Path(f"/proc/{running.pid}/cwd").readlink() == Path("/")
    assert not (running.path / "var" / "log" / "supervisord.log").stat().st_mode & 0o022


def test_roots_terminal_is_out_of_reach_of_the_site(running: Server) -> None:
    """A program that has root's terminal could type into it (CVE-2005-4890)."""
    supervisorctl = running.path / "venv" / "bin" / "supervisorctl"
    terminal = (require("script"), "-qc")
    with moved(supervisorctl):
        supervisorctl.write_text(
            "#!/bin/sh\nif true 2>/dev/null </dev/tty; then echo within; else echo out of; fi\n"
        )
        supervisorctl.chmod(0o755)
        plain = running.run(*terminal, str(supervisorctl), "/dev/null")
        by_init = running.run(*terminal, f"sh {running.script} reload", "/dev/null", check=False)
    assert "within" in plain.stdout
    assert "out of" in by_init.stdout


def test_only_root_and_the_run_user_may_use_it(running: Server) -> None:
    running.init("status", user=USER, group=USER, extra_groups=[])
    for action in ACTIONS:
        done = running.init(action, code=4, user="nobody", extra_groups=[])
        assert done.stderr == f"supervisord: only root and {USER} may do this: use sudo.\n"
    assert running.answers()


@pytest.mark.parametrize(
    ("action", "shell"), [("restart", ("dash",)), ("try-restart", ("bash", "--posix"))]
)
def test_restart_gives_new_processes_in_every_shell(
    running: Server, action: str, shell: tuple[str, ...]
) -> None:
    require(shell[0])
    pids = set(running.processes())
    done = running.init(action, shell=shell)
    assert done.stdout.startswith("Stopping the site .")
    assert done.stderr == ""
    assert running.answers()
    assert len(running.masters()) == 2
    assert not pids & set(running.processes())


@pytest.mark.parametrize("shell", [("dash",), ("bash", "--posix")])
def test_it_needs_no_init_functions(running: Server, shell: tuple[str, ...]) -> None:
    hide = "for dir in /lib/lsb /lib/init; do [ ! -d $dir ] || mount -t tmpfs tmpfs $dir; done"
    shell = privately(hide, *shell)
    for action in ("stop", "start", "status"):
        assert running.init(action, shell=shell).stderr == ""


@pytest.mark.parametrize("action", ["reload", "force-reload"])
def test_reload_replaces_every_master_and_loses_no_request(running: Server, action: str) -> None:
    pid, masters = running.pid, running.masters()
    statuses: list[object] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            try:
                statuses.append(running.get("/healthz").status)
            except OSError as error:
                statuses.append(error)

    threads = [in_background(ask) for _ in range(4)]
    try:
        running.init(action)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert len(statuses) > 100
    assert set(statuses) == {200}
    assert running.pid == pid
    assert running.masters().keys() == masters.keys()
    assert not set(running.masters().values()) & set(masters.values())


def test_a_broken_config_stops_nothing(running: Server) -> None:
    pids = running.processes()
    config = running.path / "current" / "deploy" / "supervisord.conf"
    with appended(config, "\nautorestart = perhaps\n"):
        for action in ("restart", "try-restart", "reload", "force-reload"):
            done = running.init(action, code=6)
            assert done.stderr.startswith(
                f"supervisord: it refuses {config}: Error: invalid 'autorestart' value 'perhaps'"
            )
            assert done.stderr.count("\n") == 1
        running.init("start")
    assert running.processes() == pids


def test_an_address_that_cannot_be_opened_stops_nothing(running: Server) -> None:
    pids = running.processes()
    config = running.path / "current" / "deploy" / "supervisord.conf"
    address = f"tcp://192.0.2.1:{running.port}"
    sentence = (
        "deploy/supervisord.conf is refused, and everything goes on as before."
        f" {address}: Cannot assign requested address. Stop the program that listens there, or"
        " change the address in deploy/supervisord.conf.\n"
    )
    with appended(config, f"\nsocket = {address}\n"):
        for action in ("restart", "reload"):
            assert running.init(action, code=6).stderr == f"supervisord: {sentence}"
        # As the systemd unit does it.
        reload = ("venv/bin/python", "-B", "deploy/server", "health", "reload")
        as_user = {"user": USER, "group": USER, "extra_groups": []}
        by_systemd = running.run(*reload, check=False, **as_user)
        assert (by_systemd.returncode, by_systemd.stderr.startswith(sentence)) == (1, True)
    assert running.processes() == pids


def test_a_broken_release_leaves_the_other_master_serving(running: Server) -> None:
    masters = running.masters()
    with appended(running.path / "chess" / "wsgi.py", "\nraise RuntimeError\n"):
        done = running.init("reload", code=1)
        assert "not all has started again: the logs in" in done.stderr
        assert {running.get("/healthz").status for _ in range(20)} == {200}
    running.init("start")
    assert running.masters()["gu-chess:master-2"] == masters["gu-chess:master-2"]


def test_it_starts_after_a_kill(running: Server) -> None:
    pid = running.pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    running.init("status", code=1)
    running.init("start")
    assert running.pid != pid
    assert len(running.masters()) == 2


def test_stop_lets_a_request_end_and_returns_once_everything_is_gone(running: Server) -> None:
    def stop() -> None:
        running.init("stop")
        assert running.processes() == []
        assert not running.pidfile.exists()

    assert answer_while(running, stop) == "slow\n"


def test_the_supervisord_of_another_site_is_left_alone(stopped: Server, root_folder: Path) -> None:
    """It may have got the pid of ours, and the same user may run it."""
    with namesake(root_folder, "/srv/other/venv/bin/supervisord", user=USER) as pid:
        for action, code in (("status", 1), ("stop", 0), ("start", 0)):
            stopped.pidfile.write_text(str(pid))
            stopped.init(action, code=code)
        assert stopped.pid != pid
        stopped.init("stop")
        assert stopped.processes() == []


def test_start_says_that_a_program_fails_and_tries_again(stopped: Server) -> None:
    """However long a busy machine takes for that."""
    deploy = stopped.path / "deploy"
    with (
        appended(deploy / "supervisord.conf", "\nstartretries = 0\nstartsecs = 20\n"),
        appended(deploy / "gunicorn.conf.py", "\nraise SystemExit\n"),
    ):
        for action, code in (("start", 1), ("start", 1), ("status", 1)):
            assert stopped.init(action, code=code).stderr == (
                "supervisord: not every program runs (gu-chess:master-1 FATAL, gu-chess:master-2 FATAL):"
                f" the logs in {stopped.path}/var/log tell why.\n"
            )
    stopped.init("start")


def test_start_says_that_the_pages_fail(stopped: Server) -> None:
    with appended(
        stopped.path / "chess" / "urls.py",
        "\nurlpatterns = [path('healthz', lambda request: 1 / 0)]\n",
    ):
        done = stopped.init("start", code=1)
    assert done.stderr == (
        f"supervisord: http://127.0.0.1:{stopped.port}/healthz gives an error or nothing:"
        f" the logs in {stopped.path}/var/log tell why.\n"
    )
    assert len(stopped.masters()) == 2


def test_a_site_whose_programs_were_all_stopped_is_not_well(stopped: Server) -> None:
    """One of two masters may be stopped by hand: the other one serves."""
    stopped.init("start")
    stopped.supervisorctl("stop", "gu-chess:master-1", check=True)
    stopped.init("status")
    stopped.supervisorctl("stop", "all", check=True)
    done = stopped.init("status", code=1)
    assert done.stdout.endswith("\nWaiting for the site\n")
    assert "/healthz gives an error or nothing" in done.stderr
    stopped.init("start")
    stopped.init("status")


def test_a_program_that_nobody_started_holds_nothing_up(stopped: Server) -> None:
    config = stopped.path / "deploy" / "supervisord.conf"
    program = "\n[program:by-hand]\ncommand = /bin/sleep 60\nautostart = false\n"
    with appended(config, program):
        begin = time.monotonic()
        stopped.init("start")
        stopped.init("start")
        assert time.monotonic() - begin < 20
        assert "Not started" in stopped.init("status").stdout
        stopped.init("stop")


def test_a_supervisord_that_hangs_is_said(running: Server) -> None:
    assert running.pid
    os.kill(running.pid, signal.SIGSTOP)
    try:
        done = running.init("status", code=4)
    finally:
        os.kill(running.pid, signal.SIGCONT)
    assert done.stderr == (
        f"supervisord: it runs, but does not answer: the logs in {running.path}/var/log tell why.\n"
    )
    running.init("status")
