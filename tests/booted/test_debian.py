"""What holds on a Debian server, of each version and with each init system.

The tests stand in the order of a server's life, and each needs those before it. Ubuntu is not
booted: that would take a mirror of its own.
"""

import functools
import http.client
import os
import re
import shutil
import socket
import sqlite3
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.commands import Run, lack, require
from support.debian import (
    CODE,
    Load,
    Machine,
    booted,
    load,
    packages,
    require_root,
    tree,
    wheelhouse,
)
from support.documents import Document
from support.project import Project, Response
from support.service_files import filled
from support.smtp import Inbox, mail_server
from support.tasks import ASK, NUMBER, QUEUE, add_task
from support.template import ROOT, cookiecutter, read
from support.waiting import eventually

from local_extensions.zones import ZONES

# The oldest version that was installed on booted machines. It has no tag, as there is no release yet;
# its unit, its supervisord's config and plugin, gunicorn's settings and deploy scripts are not today's.
OLD = "8cdd047"
CHESS = {"project_slug": "chess", "domain_name": "chess.example.org"}
OFFLINE = ("--offline", "--wheelhouse", "/wheels")
SITE = ("127.0.0.1", 8000)
MASTERS = {"gu-chess:master-1", "gu-chess:master-2"}


class Kind(NamedTuple):
    """Of a machine."""

    suite: str
    init: str
    database: str

    def __str__(self) -> str:
        return f"{self.suite}-{self.init}"


MACHINES = [
    Kind("bookworm", "systemd", "sqlite"),
    Kind("bookworm", "sysvinit", "postgresql"),
    Kind("trixie", "systemd", "postgresql"),
    Kind("trixie", "sysvinit", "sqlite"),
]
# The others promise its version, its init and its database by the same means.
ONLY_THOROUGH = "trixie-sysvinit"

pytestmark = [pytest.mark.booted, pytest.mark.slow]


@dataclass
class Server:
    """A machine, the code of a site on it, where it answers, and its kind of database."""

    machine: Machine
    code: str
    domain: str
    database: str

    def install(self, *options: str, check: bool = True) -> Run:
        return self.machine.run(f"{self.code}/deploy/install.sh", *options, check=check)

    def release(self, check: bool = True) -> Run:
        return self.machine.run(f"{self.code}/deploy/release.sh", *OFFLINE, check=check)

    def service(self, action: str, code: int = 0, name: str = "supervisord") -> Run:
        """Runs an action as the administrator does; it must end with this exit code."""
        done = self.machine.run("service", name, action, check=False)
        assert done.returncode == code, f"{action}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def request(self, path: str = "/", tls: Path | None = None, **headers: str) -> Response:
        """In the calling thread, which must be in the machine's network."""
        plain = socket.create_connection(("127.0.0.1", 443 if tls else 80), 30)
        connection = http.client.HTTPConnection(self.domain)
        if tls:
            context = ssl.create_default_context(cafile=str(tls))
            connection.sock = context.wrap_socket(plain, server_hostname=self.domain)
        else:
            connection.sock = plain
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
            return Response(response.status, response.headers, text)
        finally:
            connection.close()

    def get(self, path: str = "/", tls: Path | None = None, **headers: str) -> Response:
        return self.machine.inside(lambda: self.request(path, tls, **headers))

    def serves(self) -> str:
        """The release that a visitor gets, through nginx."""
        response = self.request("/healthz")
        assert response.status == 200, response
        return response.text.split()[1]

    def answers(self) -> bool:
        try:
            return self.machine.inside(self.serves) != ""
        except (OSError, AssertionError):
            return False

    @property
    def processes(self) -> dict[int, str]:
        """The site's processes: pid → user."""
        lines = self.machine.run("ps", "-eo", "pid=,user:32=,args=").stdout.splitlines()
        words = [line.split(None, 2) for line in lines]
        return {int(pid): user for pid, user, command in words if f"/srv/{self.slug}/" in command}

    @property
    def slug(self) -> str:
        return Path(self.code).name


def parameters(machines: list[Kind]) -> list[Any]:
    return [
        pytest.param(
            each, id=str(each), marks=[pytest.mark.thorough] * (str(each) == ONLY_THOROUGH)
        )
        for each in machines
    ]


@pytest.fixture(scope="module", params=parameters(MACHINES))
def machine(request: pytest.FixtureRequest, bake: Callable[..., Project]) -> Iterator[Machine]:
    with boot(bake, *request.param) as machine:
        yield machine


@contextmanager
def boot(bake: Callable[..., Project], suite: str, init: str, database: str) -> Iterator[Machine]:
    require_root()
    requirements = bake(database=database, tasks="celery").path / "requirements.txt"
    bind = f"--bind-ro={wheelhouse(requirements)}:/wheels"
    with booted(tree(suite, init, database), init, bind) as machine:
        yield machine


def only(*names: str) -> pytest.MarkDecorator:
    """For what other machines would promise by the same means: those of a suite, of an init, with a database, or one."""
    chosen = [each for each in MACHINES if {*names} & {*each, str(each)}]
    return pytest.mark.parametrize("machine", parameters(chosen), indirect=True)


def put(machine: Machine, bake: Callable[..., Project], **answers: str) -> Server:
    """A site's code where its administrator has it."""
    slug = answers["project_slug"]
    answers.setdefault("database", machine.database)
    project = bake(**answers, install_dir=f"/srv/{slug}")
    code = f"{CODE}/{slug}"
    shutil.copytree(project.path, machine.root / code[1:])
    return Server(machine, code, answers["domain_name"], answers["database"])


def bake_old(folder: Path, **answers: str) -> Project:
    """A project of the version OLD."""
    # Git obeys no other user's repository; in a container, its owner is another one.
    git = [require("git"), "-c", "safe.directory=*", "-C", str(ROOT)]
    archive = subprocess.run([*git, "archive", OLD], capture_output=True, check=False)
    if archive.returncode:
        lack(f"the template's history is not here: {archive.stderr.decode()}")
    template = folder / "template"
    template.mkdir(parents=True)
    subprocess.run(["tar", "-x", "-C", template], input=archive.stdout, check=True)
    given = (f"{name}={value}" for name, value in answers.items())
    done = cookiecutter(folder, str(template), "--no-input", *given)
    assert done.returncode == 0, done.stderr
    return Project(folder / answers["project_slug"])


@pytest.fixture(scope="module")
def server(machine: Machine, bake: Callable[..., Project]) -> Server:
    return put(machine, bake, **CHESS)


@pytest.fixture(scope="module")
def files_before(server: Server) -> set[str]:
    """What was there before the site was."""
    return server.machine.files()


def test_a_dry_run_changes_nothing(server: Server, files_before: set[str]) -> None:
    # As after a bare su, whose PATH lacks what only root runs.
    install = f"{server.code}/deploy/install.sh"
    done = server.machine.run("env", "PATH=/usr/bin:/bin", install, "--dry-run")
    assert "+ /srv/chess/var/ (www-data, 0711)" in done.stdout
    assert "+ /etc/nginx/sites-available/supervisord" in done.stdout
    assert "answers" not in done.stdout
    assert server.machine.files() ^ files_before == set()


def listen(address: str, port: int) -> socket.socket:
    """A program that has this address; in the calling thread's network."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((address, port))
    holder.listen()
    return holder


@only("systemd")
def test_it_refuses_what_cannot_work(server: Server, files_before: set[str]) -> None:
    machine = server.machine

    def refusal(*options: str, before: tuple[str, ...] = ()) -> str:
        done = machine.run(*before, f"{server.code}/deploy/install.sh", *options, check=False)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done
        return done.stderr

    as_nobody = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
    assert refusal(before=as_nobody) == "Only root may do this: sudo deploy/install.sh\n"
    assert refusal("--service", "cron").startswith("/etc/init.d/cron belongs to another service")
    assert refusal("--service", "../x").startswith("../x is no name for a service")
    assert refusal("--fast").startswith("--fast is not an option")
    assert refusal("--uninstall") == "Nothing is installed in /srv/chess.\n"

    for address, port in (("127.0.0.1", 8000), ("127.0.0.1", 9001), ("0.0.0.0", 80)):
        if port == 80:
            server.service("stop", name="nginx")
        with machine.inside(partial(listen, address, port)):
            taken = f"{address}:{port} cannot be used (Address already in use)"
            assert refusal().startswith(taken)
    server.service("start", name="nginx")

    # A Python of root's own, as pyenv makes them
    python = "cp $(readlink -f $(which python3)) /root/python3; chmod 700 /root/python3"
    machine.run("sh", "-c", python)
    assert "www-data cannot run /root/python3" in refusal(
        before=("env", "PATH=/root:/usr/bin:/usr/sbin:/bin")
    )
    machine.run("rm", "/root/python3")

    def refusal_with(mount: str) -> str:
        return refusal(before=("unshare", "--mount", "sh", "-ec", f'{mount}; exec "$@"', "sh"))

    small = "mount -t tmpfs -o size=10m tmpfs /srv"
    assert re.match(r"The disk of /srv has \d+ MB free and the site needs 200", refusal_with(small))
    copy = "cp -a /etc /tmp; mount -t tmpfs -o size=9m tmpfs /etc; cp -a /tmp/etc/. /etc; rm -r /tmp/etc"
    full = f"{copy}; cat /dev/zero 2>/dev/null >/etc/full || true"
    assert "The disk of /etc has 0 MB free" in refusal_with(full)

    # nginx as nginx.org packages it; and one that refuses what it has already
    conf = "/etc/nginx/nginx.conf"
    other = f"sed '/sites-enabled/d' {conf} >/tmp/n; mount --bind /tmp/n {conf}; rm /tmp/n"
    said = refusal_with(other)
    assert said.startswith("nginx does not read /etc/nginx/sites-enabled, unlike Debian's own")
    broken = f"(cat {conf}; echo oops) >/tmp/n; mount --bind /tmp/n {conf}; rm /tmp/n"
    assert refusal_with(broken).startswith("nginx refuses its settings: unexpected end of file")
    assert machine.files() ^ files_before == set()


@only("bookworm-systemd")
def test_without_postgresql_a_site_that_needs_it_is_refused(
    machine: Machine, bake: Callable[..., Project], files_before: set[str]
) -> None:
    server = put(machine, bake, **{**CHESS, "project_slug": "club"}, database="postgresql")
    done = server.install(*OFFLINE, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Some programs are missing: sudo apt install postgresql\n"
    assert machine.files() ^ files_before == set()


@contextmanager
def stopped(server: Server, name: str) -> Iterator[None]:
    server.service("stop", name=name)
    yield
    server.service("start", name=name)


@only("postgresql")
def test_before_postgresql_runs_nothing_is_made(server: Server) -> None:
    before = server.machine.files()
    with stopped(server, "postgresql"):
        done = server.install(*OFFLINE, check=False)
    assert (done.returncode, done.stdout) == (1, ""), done
    assert done.stderr.startswith("PostgreSQL does not answer at /var/run/postgresql/")
    assert server.machine.files() ^ before == set()


def changes(done: Run) -> list[str]:
    """What install.sh says that it changes, without the dots of what takes a while."""
    return re.findall(r"^([-+$] .*?)[ .]*$", done.stdout, re.MULTILINE)


def test_it_is_installed_and_answers(server: Server) -> None:
    announced = changes(server.install("--dry-run", *OFFLINE))
    done = server.install(*OFFLINE)
    assert changes(done) == announced
    assert "The site answers at http://chess.example.org/" in done.stdout
    assert f"certbot certonly --nginx -d {server.domain}" in done.stdout
    eventually(server.answers)  # nginx takes up its new settings a moment later
    page = server.get("/")
    assert page.status == 200
    assert "<title>My site</title>" in page.text
    style = re.search(r'href="(/static/pages/site\.\w+\.css)"', page.text)
    assert style
    assert server.get(style[1]).status == 200
    logs = [f"/var/log/nginx/{server.domain}.{kind}.log" for kind in ("access", "error")]
    rights = server.machine.run("stat", "-c", "%a %U %G", *logs).stdout
    assert rights == "640 www-data adm\n" * 2


def test_a_second_run_changes_nothing(server: Server) -> None:
    before, processes = server.machine.files(), server.processes
    done = server.install(*OFFLINE)
    assert changes(done) == []
    assert server.processes == processes
    assert server.machine.files() ^ before == set()


def test_nothing_of_it_runs_as_root(server: Server) -> None:
    assert len(server.processes) >= 5
    assert set(server.processes.values()) == {"www-data"}


def test_only_nginx_is_open_to_the_network(server: Server) -> None:
    listeners = server.machine.listeners()
    assert {SITE, ("127.0.0.1", 9001)} <= listeners
    assert {each for each in listeners if not each[0].startswith(("127.", "::1"))} == {
        ("0.0.0.0", 80),
        ("any", 80),
    }
    for path in ("/RPC2", "/index.html?action=stopall", "/supervisor/"):
        assert server.get(path).status == 404


def test_the_site_writes_in_var_alone(server: Server) -> None:
    """And who is neither root nor the site reads no secret and no data."""
    machine = server.machine

    def found(user: str, what: str) -> list[str]:
        as_user = f"setpriv --reuid={user} --regid=$(id -g {user}) --clear-groups"
        command = f"cd /srv/chess; {as_user} find . -path ./var -prune -o ! -type l {what} -print"
        # find fails at what it may not enter.
        return machine.run("sh", "-c", f"{command} 2>/dev/null || :").stdout.split()

    assert found("www-data", "-writable") == []
    assert found("www-data", "-name .env -readable") == ["./.env"]
    assert found("nobody", "-name .env -readable") == []
    release = "-path './releases/*'"
    assert found("nobody", release) == []
    assert f"./releases/{machine.inside(server.serves)}/manage.py" in found("www-data", release)
    assert found("nobody", "-name web_interface.conf -readable") == []
    modes = machine.run("stat", "-c", "%a %U %G", *map("/srv/chess/{}".format, (".env", "var")))
    assert modes.stdout.split("\n")[:2] == ["640 root www-data", "711 www-data www-data"]
    as_nobody = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
    secrets = ["var/log/supervisord.log"]
    if server.database == "sqlite":
        secrets.append("var/db.sqlite3")
    for secret in secrets:
        done = machine.run(*as_nobody, "cat", f"/srv/chess/{secret}", check=False)
        assert "Permission denied" in done.stderr


@only("bookworm-systemd")
def test_a_database_made_anew_is_the_sites_alone(server: Server) -> None:
    """Whichever command makes it: the site's umask keeps others out."""
    machine, folder = server.machine, "/srv/chess"
    as_site = ("setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups")

    def others_may_read() -> str:
        files = f"stat -c '%a %n' {folder}/var/db.sqlite3*"
        said = machine.run("sh", "-c", files).stdout.splitlines()
        assert said
        return "".join(line for line in said if int(line.split()[0], 8) & 0o137)

    for command in (
        ("service", "supervisord", "start"),
        (*as_site, f"{folder}/current/venv/bin/python", f"{folder}/current/manage.py", "migrate"),
    ):
        server.service("stop")
        machine.run("sh", "-c", f"rm {folder}/var/db.sqlite3*")
        machine.run(*command, check=False)
        if command[0] == "setpriv":
            server.service("start")
        # Without tables it says 503, but asks the database all the same.
        eventually(
            lambda: "ok" in (said := server.get("/healthz").text) or said == "unavailable\n", 20
        )
        assert others_may_read() == ""
    eventually(server.answers, 20)


def test_systemd_has_nothing_to_say_about_the_unit(server: Server) -> None:
    machine = server.machine
    if machine.init == "systemd":
        unit = "/etc/systemd/system/supervisord.service"
        assert machine.run("systemd-analyze", "verify", unit).stderr == ""
        machine.run("systemd-analyze", "security", "--threshold=15", "supervisord.service")


def test_a_bare_supervisorctl_works_for_root(server: Server) -> None:
    machine = server.machine
    programs = ("alerts", "gu-chess:master-1", "gu-chess:master-2")
    running = [[program, "RUNNING"] for program in programs]

    def both_run() -> bool:
        lines = machine.run("supervisorctl", "status").stdout.splitlines()
        return [line.split()[:2] for line in lines] == running

    eventually(both_run)
    machine.run("supervisorctl", "rolling_restart", "gu-chess")


def test_the_service_obeys(server: Server) -> None:
    server.service("status")
    server.service("start")
    old = set(server.processes)
    server.service("restart")
    eventually(server.answers, 20)
    assert not old & set(server.processes)

    server.service("stop")
    assert server.processes == {}
    eventually(lambda: SITE not in server.machine.listeners())
    if server.machine.init == "systemd":  # it had to kill nothing
        result = ("systemctl", "show", "--property=Result", "supervisord")
        assert server.machine.run(*result).stdout == "Result=success\n"
    server.service("status", code=3)
    server.service("stop")
    assert server.get("/").status == 503
    server.service("start")
    eventually(server.answers, 20)


def errors(server: Server) -> str:
    return server.machine.run(
        "sh", "-c", f"grep -h ' ERROR ' /srv/{server.slug}/var/log/* || true"
    ).stdout


def test_what_asks_from_the_machine_itself_needs_no_localhost(server: Server) -> None:
    """And a name that is new in .env is one that the site that runs has before nginx."""
    env = server.machine.root / "srv/chess/.env"
    change(env, "ALLOWED_HOSTS=chess.example.org,localhost,127.0.0.1", f"ALLOWED_HOSTS={BOTH}")
    service = server.install(*OFFLINE)  # the name that it knows is still the first
    assert changes(service) == []
    server.service("restart")
    server.install(*OFFLINE)
    assert "Invalid HTTP_HOST" not in errors(server)

    facts = server.machine.root / server.code[1:] / "deploy/server/facts.py"
    change(env, BOTH, f"{BOTH},new.example")
    change(facts, '"chess.example.org"', '"new.example"')
    done = server.install(*OFFLINE)
    assert changes(done)[0] == "$ service supervisord reload"
    assert "The site answers at http://new.example/" in done.stdout
    assert replace(server, domain="new.example").get().status == 200
    change(facts, '"new.example"', '"chess.example.org"')
    server.install(*OFFLINE)
    assert server.get().status == 200
    server.machine.run("sh", "-c", "rm /var/log/nginx/new.example.*")


BOTH = "chess.example.org,www.chess.example.org"


def test_reload_loses_no_request(server: Server) -> None:
    old = set(server.processes)
    with load(server.machine, server.serves) as visitors:
        server.service("reload")
    assert visitors.failures == []
    assert len(visitors.answers) > 50
    # supervisord alone remains.
    assert len(old & set(server.processes)) == 1


def test_it_knows_every_time_zone(machine: Machine) -> None:
    """That an answer may name; what Django does not find there ends its start."""
    folder = machine.root / "usr/share/zoneinfo"
    assert [zone for zone in ZONES if not (folder / zone).is_file()] == []


@only("systemd")
def test_systemd_has_no_script_to_start(server: Server) -> None:
    assert not (server.machine.root / "etc/init.d/supervisord").exists()


# test_init_script.py asks the same of the script on the machine of the tests: CI's is a bookworm.
@only("sysvinit")
def test_every_action_of_the_standard(server: Server) -> None:
    """LSB Core 5.0, 22.2."""
    machine, script = server.machine, "/etc/init.d/supervisord"

    def init(action: str, code: int, *before: str) -> None:
        done = machine.run(*before, script, action, check=False)
        assert done.returncode == code, f"{before} {action}: {done}"

    as_nobody = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
    for action in ("start", "status", "reload", "force-reload", "try-restart", "restart"):
        init(action, 0)
    init("dance", 2)
    init("stop", 4, *as_nobody)
    pidfile = "/srv/chess/var/supervisord.pid"
    init("stop", 0)
    init("stop", 0)
    init("status", 3)
    init("try-restart", 0)
    init("status", 3)
    init("reload", 7)
    init("force-reload", 7)
    machine.run("sh", "-c", f"echo 1 >{pidfile}")
    init("status", 1)
    with_config = 'mount --bind /dev/null /srv/chess/web_interface.conf; exec "$@"'
    init("start", 6, "unshare", "--mount", "sh", "-c", with_config, "sh")
    without_user = "grep -v ^www-data /etc/passwd >/tmp/p; mount --bind /tmp/p /etc/passwd"
    init("start", 5, "unshare", "--mount", "sh", "-c", f'{without_user}; exec "$@"', "sh")
    init("start", 0)
    init("status", 0)


def test_after_a_kill_of_supervisord_it_serves(server: Server) -> None:
    """systemd starts it again by itself. bench/RESULTS.md says how soon: here, others are at work."""
    machine = server.machine
    old = set(server.processes)
    kill(server)
    if machine.init == "sysvinit":
        server.service("status", code=1)
        server.service("start")
    # Before that, its orphans may answer for a moment.
    eventually(lambda: not old & set(server.processes), 30)
    eventually(server.answers, 30)
    server.service("status")


def kill(server: Server) -> None:
    """Kills supervisord."""
    pid = (server.machine.root / "srv/chess/var/supervisord.pid").read_text().strip()
    server.machine.run("kill", "-9", pid)


def visits_until_it_is_new(server: Server, end: Callable[[], object]) -> Load:
    """Visitors, from before supervisord's end until it and all below it are others."""
    old = set(server.processes)
    with load(server.machine, server.serves) as visitors:
        end()
        eventually(lambda: not old & set(server.processes))
        eventually(server.answers, 30)
    print(f"{len(visitors.answers)} requests, longest {visitors.longest:.2f} s")
    assert visitors.longest < 15  # on an idle machine of two processors, 1 to 2.5
    return visitors


@only("systemd")
def test_visitors_wait_while_supervisord_starts_anew(server: Server) -> None:
    for end in (lambda: server.service("restart"), lambda: kill(server)):
        assert visits_until_it_is_new(server, end).failures == []


@only("systemd")
def test_nobody_waits_for_what_does_not_run(server: Server) -> None:
    """systemd lets go of the socket, too: a proxy can say at once that the site is down."""
    machine = server.machine

    def is_refused() -> bool:
        return SITE not in machine.listeners()

    machine.run("supervisorctl", "stop", "gu-chess:*")
    eventually(is_refused, 30)
    server.service("restart")
    eventually(server.answers, 30)

    config = machine.root / "srv/chess/current/deploy/supervisord.conf"
    change(config, "startsecs = 2", "startsecs = two")
    kill(server)
    eventually(is_refused)
    done = server.install(*OFFLINE, check=False)
    assert "supervisord does not run: journalctl -u supervisord tells why." in done.stderr
    change(config, "startsecs = two", "startsecs = 2")
    eventually(server.answers, 30)

    machine.run("supervisorctl", "shutdown")
    eventually(is_refused, 30)
    server.service("status", code=3)
    server.service("start")
    eventually(server.answers, 30)


def test_a_release_and_its_rollback_lose_no_request(server: Server) -> None:
    machine = server.machine
    home = machine.root / server.code[1:] / "pages/templates/pages/home.html"
    home.write_text(home.read_text().replace("{% block title %}", "{% block title %}New: "))
    first = machine.inside(server.serves)
    with load(machine, server.serves) as visitors:
        server.release()
        if machine.init == "systemd":  # supervisord's own end refuses nobody there
            server.service("restart")
        second = machine.inside(server.serves)
        assert "<title>New: My site" in server.get("/").text
        machine.run(f"{server.code}/deploy/release.sh", "--rollback")
        assert machine.inside(server.serves) == first
    assert second != first
    assert set(visitors.answers) == {first, second}
    assert visitors.failures == []
    print(f"{len(visitors.answers)} requests, longest {visitors.longest:.2f} s")
    assert "New" not in server.get("/").text


@only("bookworm-systemd")
def test_what_nginx_would_refuse_is_refused_before_it_serves(server: Server) -> None:
    """A semicolon that is lost; another site's fault is none of this one's."""
    machine, code = server.machine, server.machine.root / server.code[1:]
    site = code / "deploy/nginx/site.conf"
    whole, before = site.read_text(), machine.inside(server.serves)
    nginx = machine.run("sh", "-c", "cat /etc/nginx/snippets/supervisord-*").stdout
    change(site, "charset utf-8;", "charset utf-8")
    done = server.release(check=False)
    assert done.returncode == 1
    said = (
        r"nginx refuses what is in deploy/nginx: .*\[emerg\] .*/snippets/supervisord-site.conf:\d+"
    )
    assert re.search(said, done.stderr), done.stderr
    assert machine.inside(server.serves) == before
    assert machine.run("sh", "-c", "cat /etc/nginx/snippets/supervisord-*").stdout == nginx
    machine.run("nginx", "-t")

    site.write_text(whole.replace("charset utf-8;", "charset utf-8; # changed"))
    machine.run("sh", "-c", "echo broken >/etc/nginx/conf.d/other.conf")
    said = server.release().stdout
    assert "Not in place yet: /etc/nginx/snippets/supervisord-site.conf. " in said
    machine.run("rm", "/etc/nginx/conf.d/other.conf")
    site.write_text(whole)


@only("bookworm-systemd")
def test_a_database_that_it_cannot_write_is_told(server: Server) -> None:
    """As root may leave one; each time the log names the file."""
    machine, folder = server.machine, f"/srv/{server.slug}"
    logs = machine.root / folder[1:] / "var" / "log"

    def logged(file: str) -> bool:
        reason = rf"PermissionError: \[Errno 13\] Permission denied: '{folder}/\S+/{file}'"
        return any(re.search(reason, log.read_text()) for log in logs.glob("gu-*.log"))

    for file in ("var/db.sqlite3", "var"):
        machine.run("chown", "root", f"{folder}/{file}")
        assert server.get("/healthz").status == 503
        machine.run("chown", "www-data", f"{folder}/{file}")
        assert server.get("/healthz").status == 200
        eventually(functools.partial(logged, file))


@only("postgresql")
def test_it_counts_the_connections(server: Server) -> None:
    """Each thread of both masters has one, twice during a release; ten are for others."""
    machine = server.machine
    needed = 2 * 2 * 4 * max(1, (os.cpu_count() or 1) // 2) + 10
    for limit, too_few in ((needed - 1, True), (needed, False)):
        machine.sql(f"ALTER SYSTEM SET max_connections = {limit}")
        server.service("restart", name="postgresql")
        done = server.install(*OFFLINE)
        assert (f"ALTER SYSTEM SET max_connections = {needed}'" in done.stdout) == too_few
        assert changes(done) == []
    machine.sql("ALTER SYSTEM RESET max_connections")
    server.service("restart", name="postgresql")
    eventually(server.answers, 20)


@only("postgresql")
def test_its_role_is_let_in_by_the_system_alone(server: Server) -> None:
    """By the name of its user, without a password; it may make databases, and nothing else."""
    machine = server.machine
    rights = "rolcanlogin, rolcreatedb, rolsuper, rolcreaterole, rolreplication, rolbypassrls"
    role = f"SELECT {rights}, rolpassword FROM pg_authid WHERE rolname = 'www-data'"
    assert machine.sql(role) == "t|t|f|f|f|f|"
    assert machine.sql(OWNER) == "www-data"
    as_nobody = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
    for options in ([], ["--username=www-data"], ["--host=127.0.0.1", "--username=www-data"]):
        done = machine.run(*as_nobody, "psql", "-w", "chess", *options, check=False)
        assert done.returncode == 2, done
    start = f"ls /etc/rc2.d | grep -E '^S..(postgresql|{SERVICE})$'"
    if machine.init == "sysvinit":
        first, second = machine.run("sh", "-c", start).stdout.split()
        assert (first[3:], second[3:], first[:3] < second[:3]) == ("postgresql", SERVICE, True)
    else:
        show = ("systemctl", "show", "--property=After", SERVICE)
        assert "postgresql.service" in machine.run(*show).stdout


SERVICE = "supervisord"
OWNER = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'chess'"


@only("postgresql")
def test_while_postgresql_is_down_nothing_is_touched(server: Server) -> None:
    """Once it runs again, so does the site, by itself."""
    machine = server.machine
    before, processes = machine.files(), server.processes
    with stopped(server, "postgresql"):
        for done in (server.install(*OFFLINE, check=False), server.release(check=False)):
            assert done.returncode == 1
            assert "PostgreSQL does not answer at /var/run/postgresql" in done.stderr, done
        assert server.get("/healthz").status == 503
    eventually(server.answers, 20)
    assert server.processes == processes
    assert machine.files() ^ before == set()


@only("trixie-systemd")
def test_a_release_that_cannot_be_rehearsed_is_refused(server: Server) -> None:
    """A role that is gone or may not make databases, a disk too small for the copy."""
    machine = server.machine
    before = machine.files()

    def refusal(*before: str) -> str:
        release = (f"{server.code}/deploy/release.sh", *OFFLINE)
        done = machine.run(*before, *release, check=False)
        assert done.returncode == 1, done
        return done.stderr

    with load(machine, server.serves) as visitors:
        machine.sql('ALTER ROLE "www-data" NOCREATEDB')
        assert "The role www-data may not make databases" in refusal()
        machine.sql('ALTER ROLE "www-data" CREATEDB')
        small = 'mount -t tmpfs -o size=1m tmpfs /var/lib/postgresql; exec "$@"'
        said = refusal("unshare", "--mount", "sh", "-ec", small, "sh")
        assert "the disk of /var/lib/postgresql has 1 MB free" in said
    assert visitors.failures == []
    assert len({*visitors.answers}) == 1
    machine.sql('ALTER ROLE "www-data" RENAME TO gone')
    assert "PostgreSQL knows no role www-data: " in refusal()
    machine.sql('ALTER ROLE gone RENAME TO "www-data"')
    assert machine.files() ^ before == set()


@only("systemd")
def test_slow_visitors_do_not_hold_it_up(server: Server) -> None:
    said = (
        b"",
        f"GET / HTTP/1.1\r\nHost: {server.domain}\r\n".encode(),
        f"POST /admin/login/ HTTP/1.1\r\nHost: {server.domain}\r\n"
        "Content-Length: 1000\r\n\r\nuser=".encode(),
    )

    def visit() -> list[float]:
        times = []
        with ExitStack() as stack:
            for number in range(50):
                slow = socket.create_connection(("127.0.0.1", 80))
                stack.callback(slow.close)
                slow.sendall(said[number % len(said)])
            for _ in range(30):
                begin = time.monotonic()
                assert self_request().status == 200
                times.append(time.monotonic() - begin)
        return times

    self_request = server.request
    # What had to wait for a slow one would wait for as long as nginx does, 15 seconds.
    assert max(server.machine.inside(visit)) < 5


def nightly(machine: Machine) -> list[tuple[str, ...]]:
    """The commands of the night, as their user."""
    text = (machine.root / "etc/cron.d/supervisord").read_text()
    lines = [line.split(None, 6) for line in text.splitlines() if line[:1].isdigit()]
    as_user = ("setpriv", "--regid=33", "--clear-groups")
    return [(*as_user, f"--reuid={user}", "sh", "-c", command) for *_, user, command in lines]


@only("systemd")
def test_expired_sessions_go_each_night(server: Server) -> None:
    """And nobody who has logged in is logged out."""
    manage = ("/srv/chess/current/deploy/manage.sh", "shell", "--no-imports", "-c")
    sessions = "from django.contrib.sessions.backends.db import SessionStore\n"
    sessions += "from django.contrib.sessions.models import Session\n"
    make = "for age in (-1, 1000): s = SessionStore(); s.set_expiry(age); s.save()"
    count = "print(Session.objects.count())"
    machine = server.machine
    before = int(machine.run(*manage, sessions + count).stdout)
    machine.run(*manage, sessions + make)
    _, ends_sessions = nightly(machine)
    done = machine.run(*ends_sessions)
    assert (done.stdout, done.stderr) == ("", "")
    assert int(machine.run(*manage, sessions + count).stdout) == before + 1


@only("systemd")
def test_the_nightly_copy_is_whole(server: Server) -> None:
    """As cron runs it: it says nothing that cron would mail."""
    machine = server.machine
    copies_data, _ = nightly(machine)
    for _ in range(2):
        done = machine.run(*copies_data)
        assert (done.stdout, done.stderr) == ("", "")
        time.sleep(1)  # a copy is named after its second
    copies = [*(machine.root / "srv/chess/var/backups").iterdir()]
    assert len(copies) == 2
    for copy in copies:
        [database] = (
            copy / name for name in ("db.sqlite3", "database.dump") if (copy / name).exists()
        )
        assert database.stat().st_mode & 0o777 == 0o600
        assert content_types(machine, database) > 0


def content_types(machine: Machine, copy: Path) -> int:
    """How many rows are in that table of a copy."""
    if copy.suffix == ".sqlite3":
        with sqlite3.connect(copy) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            return int(database.execute("SELECT count(*) FROM django_content_type").fetchone()[0])
    machine.sql("CREATE DATABASE tried")
    restore = ("runuser", "--user=postgres", "--", "pg_restore", "--no-owner", "--dbname=tried")
    with copy.open("rb") as dump:
        machine.run(*restore, "--exit-on-error", stdin=dump)
    rows = machine.sql("SELECT count(*) FROM django_content_type", "tried")
    machine.sql("DROP DATABASE tried")
    return int(rows)


@pytest.fixture
def inbox(server: Server) -> Iterator[Inbox]:
    """What ADMINS get, by a mail server of the machine's own."""
    env = server.machine.root / "srv/chess/.env"
    before = env.read_text()
    with ExitStack() as stack:
        stack.callback(env.write_text, before)
        inbox = server.machine.inside(lambda: stack.enter_context(mail_server()))
        change(env, "EMAIL_URL=consolemail://", f"EMAIL_URL={inbox.url}")
        yield inbox


@only("bookworm")
def test_what_died_is_known(server: Server, inbox: Inbox) -> None:
    """By mail, by the exit codes of docs/service.md, and by the machine's own log."""
    machine = server.machine
    settings = machine.root / "srv/chess/current/deploy/gunicorn.conf.py"
    text = settings.read_text()

    def check() -> int:
        machine.run("systemctl", "start", "supervisord-check", check=False)
        return machine.run("systemctl", "is-failed", "supervisord-check", check=False).returncode

    def states() -> list[str]:
        lines = machine.run("supervisorctl", "status", check=False).stdout.splitlines()
        return [line.split()[1] for line in lines]

    if machine.init == "systemd":
        assert check() == 1
        machine.run("systemctl", "is-active", "supervisord-check.timer")
    try:
        settings.write_text(f"wrong\n{text}")
        machine.run("supervisorctl", "restart", "gu-chess:*", check=False)
        dead = ["RUNNING", "FATAL", "FATAL"]
        eventually(lambda: states() == dead, 120)
        assert machine.run("supervisorctl", "status", check=False).returncode == 3
        assert server.get("/healthz").status == 503
        died = "gu-chess:master-1 FATAL: Exited too quickly (process log may have details); next try at "
        assert died in (machine.root / "srv/chess/var/log/supervisord.log").read_text()
        eventually(lambda: inbox.programs("dead") == MASTERS, 20)
        [mail, *_] = [mail for mail in inbox.mails if "dead" in mail["Subject"]]
        assert mail["To"] == "webmaster@example.com"
        assert "NameError: name 'wrong' is not defined" in mail.get_content()
        if machine.init == "systemd":
            # While supervisord tries them again, the check has nothing to say; and systemd starts it
            # only so often, so it is asked when they are dead once more.
            eventually(lambda: states() == dead and check() == 0, 60)
            assert "supervisord-check.service" in machine.run("systemctl", "--failed").stdout
            assert f'Status: "{died}' in server.service("status").stdout
            journal = ("journalctl", "--priority=err", "--output=cat", "--unit=supervisord*")
            said = machine.run(*journal).stdout
            assert died in said
            assert (
                "not every program runs (gu-chess:master-1 FATAL, gu-chess:master-2 FATAL)" in said
            )
        else:
            server.service("status", code=1)
    finally:
        settings.write_text(text)
    machine.run("supervisorctl", "start", "gu-chess:*")
    eventually(server.answers, 20)
    if machine.init == "systemd":
        assert check() == 1
        assert "Status:" not in server.service("status").stdout
    else:
        server.service("status")
    eventually(lambda: inbox.programs("runs again") == MASTERS, 30)


@only("bookworm")
def test_a_nightly_copy_that_fails_is_told(server: Server, inbox: Inbox) -> None:
    """Also while the site does not run, and once more when there is one again."""
    machine = server.machine
    backup, _ = nightly(machine)
    machine.run(*backup)
    server.service("stop")
    machine.run("chmod", "500", "/srv/chess/var/backups")
    assert machine.run(*backup, check=False).returncode == 1
    machine.run("chmod", "700", "/srv/chess/var/backups")
    subject = "[chess.example.org] No copy of the data"
    [mail] = [mail for mail in inbox.mails if mail["Subject"] == subject]
    assert "could not be copied ([Errno 13] Permission denied" in mail.get_content()
    assert "The last copy: /srv/chess/var/backups/20" in mail.get_content()
    server.service("start")
    machine.run(*backup)
    eventually(lambda: "[chess.example.org] The data are copied again" in inbox.subjects(), 20)


@pytest.fixture
def new_machine(machine: Machine, bake: Callable[..., Project]) -> Iterator[Machine]:
    """Another one, of a newer Debian, on which nothing has been installed."""
    with boot(bake, "trixie", "systemd", machine.database) as new:
        yield new


@only("bookworm")
def test_it_moves_to_another_server(
    server: Server, new_machine: Machine, bake: Callable[..., Project]
) -> None:
    """By the commands of docs/copies.md: same pages, same uploads, and who is logged in stays so."""
    new = put(new_machine, bake, **CHESS)
    chapter = Document((server.machine.root / f"{server.code}/docs/copies.md"[1:]).read_text())
    leave, arrive = (text for _, text in chapter.section("Move to another server").blocks)
    copies = server.machine.root / "srv/chess/var/backups"
    login = server.machine.run(
        f"{server.code}/deploy/manage.sh", "shell", "--no-imports", "-c", LOGIN
    ).stdout
    upload = "srv/chess/var/media/photos/cat.jpg"
    as_user = ("setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups", "sh", "-c")
    write = f"mkdir -p $(dirname /{upload}); echo cat >/{upload}"
    server.machine.run(*as_user, write)

    def type(on: Server, block: str) -> None:
        for line in block.splitlines():
            command = line.removeprefix("sudo ")
            if command.startswith("rsync"):  # from one machine to the other
                shutil.copytree(copies, new_machine.root / "root/chess")
            elif not command.startswith("apt"):  # the machines have that
                offline = " ".join(OFFLINE) if "install.sh" in command else ""
                on.machine.run("sh", "-ec", f"cd {on.code}; {command} {offline}", input="y\n")

    type(server, leave)
    name = max(path.name for path in copies.iterdir())
    type(new, arrive.replace("2026-11-26-031700", name))
    eventually(new.answers)
    assert "My site" in new.get("/").text
    assert (new_machine.root / upload).read_text() == "cat\n"
    assert new.get("/admin/", Cookie=f"sessionid={login.strip()}").status == 200
    assert set(new.processes.values()) == {"www-data"}
    server.machine.run("supervisorctl", "start", "all")
    eventually(server.answers, 20)
    if server.database == "postgresql":  # the way back leads to an older one
        new.machine.run(f"{new.code}/deploy/backup.sh")
        newest = max((new_machine.root / "srv/chess/var/backups").iterdir())
        shutil.copytree(newest, server.machine.root / CODE[1:] / newest.name)
        back = (f"{server.code}/deploy/restore.sh", "--yes", f"{CODE}/{newest.name}")
        done = server.machine.run(*back, check=False)
        assert done.returncode == 1
        assert "a PostgreSQL that is newer than the one here has made it" in done.stderr
        assert server.answers()


LOGIN = """
from accounts.models import User
from django.test import Client
client = Client()
client.force_login(User.objects.create_superuser("zoe"))
print(client.session.session_key)
"""


def test_its_logs_are_rotated(server: Server) -> None:
    """Those of nginx by Debian's logrotate; supervisord rotates its own."""
    log = server.machine.root / "var/log/nginx" / f"{server.domain}.access.log"
    server.machine.run("logrotate", "--force", "--state=/dev/null", "/etc/logrotate.d/nginx")
    assert "GET / " in log.with_suffix(".log.1").read_text()

    def is_in_the_new_log() -> bool:
        """Asked again: until nginx's workers have the signal, they write into the old log."""
        server.get("/?rotated")
        return "GET /?rotated " in log.read_text()

    eventually(is_in_the_new_log)


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text, file
    file.write_text(text.replace(old, new))


@only("bookworm")
def test_a_changed_address_domain_and_user_change_the_server_whole(server: Server) -> None:
    """Each command refuses, or does its part whole; nginx asks an address that is not loopback."""
    machine, deploy = server.machine, server.machine.root / server.code[1:] / "deploy"
    config, facts = deploy / "supervisord.conf", deploy / "server" / "facts.py"
    before = config.read_text(), facts.read_text()
    change(config, "socket = tcp://127.0.0.1:8000", "socket=tcp://10.1.2.3:8200 ; ours")
    change(facts, '"chess.example.org"', '"club.example.org"')
    change(facts, '"www-data"', '"club"')
    if server.database == "postgresql":
        machine.sql('CREATE DATABASE neighbour OWNER "www-data"')
    machine.run("ip", "address", "add", "10.1.2.3/32", "dev", "lo")
    serves = machine.inside(server.serves)

    def refusal(script: str) -> str:
        done = machine.run(f"{server.code}/deploy/{script}", *OFFLINE, check=False)
        assert done.returncode == 1, done
        assert machine.inside(server.serves) == serves
        return done.stderr

    assert "has other addresses than the release that serves" in refusal("install.sh")
    assert "an address in" in refusal("release.sh")
    server.service("stop")
    said = server.release().stdout
    assert "To start it, as root: service supervisord start\n" in said
    waiting = re.search("Not in place yet: (.*)\\. To change that: deploy/install.sh", said)
    assert waiting
    started_by = {
        "systemd": (
            "systemd/system/supervisord.service",
            "systemd/system/supervisord-check.service",
        ),
        "sysvinit": ("init.d/supervisord",),
    }
    snippets = (f"nginx/snippets/supervisord-{part}.conf" for part in ("site", "tls", "upstream"))
    found = {"cron.d/supervisord", *started_by[machine.init], *snippets}
    assert {*waiting[1].split(", ")} == {f"/etc/{file}" for file in found}
    done = server.install(*OFFLINE, check=False)
    assert "ALLOWED_HOSTS in /srv/chess/.env lacks club.example.org" in done.stderr
    env = machine.root / "srv/chess/.env"
    change(env, "ALLOWED_HOSTS=", "ALLOWED_HOSTS=club.example.org,")
    done = server.install(*OFFLINE)
    assert "The site answers at http://club.example.org/" in done.stdout

    club = replace(server, domain="club.example.org")
    eventually(club.answers)
    assert set(club.processes.values()) == {"club"}
    if server.database == "postgresql":
        assert machine.sql(OWNER) == "club"
        assert machine.sql(OWNER.replace("'chess'", "'neighbour'")) == "www-data"
        machine.sql("DROP DATABASE neighbour")
    owned = "find /srv/chess/var ! -user club; stat -c %G /srv/chess/.env /srv/chess/releases"
    assert machine.run("sh", "-c", owned).stdout == "club\nclub\n"
    assert ("10.1.2.3", 8200) in machine.listeners()
    # gunicorn believes nginx, and leaves the visit to its log.
    machine.inside(lambda: visit("127.0.0.7", club.domain))

    def log(name: str) -> str:
        return machine.run("sh", "-c", f"cat {name}").stdout

    eventually(lambda: re.search(r"(?m)^127\.0\.0\.7 - - .*/\?visit", log(NGINX_LOG)))
    assert "/?visit" not in log("/srv/chess/var/log/gu-chess-*.log")

    for file, text in zip((config, facts), before, strict=True):
        file.write_text(text)
    club.service("stop")
    server.release()
    server.install(*OFFLINE)
    machine.run("userdel", "club")
    if server.database == "postgresql":
        assert machine.sql(OWNER) == "www-data"
        machine.sql("DROP ROLE club")
    machine.run("sh", "-c", "rm /var/log/nginx/club.example.org.*")
    change(env, "ALLOWED_HOSTS=club.example.org,", "ALLOWED_HOSTS=")
    server.service("restart")
    eventually(server.answers, 20)


NGINX_LOG = "/var/log/nginx/club.example.org.access.log"


def visit(address: str, domain: str) -> None:
    """Asks nginx for a page from this address; in the calling thread's network."""
    connection = http.client.HTTPConnection(domain)
    connection.sock = socket.create_connection(("127.0.0.1", 80), 10, (address, 0))
    connection.request("GET", "/?visit")
    assert connection.getresponse().status == 200
    connection.close()


def failed_tests(first: Response, page: Response) -> set[str]:
    """The tests of Mozilla's HTTP Observatory that would take points off the 100 of an A+.

    Its own names; `first` is the answer by plain http, `page` the one that it leads to. What cannot
    fail here is left out: the certificate is valid, or there would be no page.
    Source: github.com/mdn/mdn-http-observatory, src/grader/charts.js and src/analyzer/tests.
    """
    headers = page.headers
    said = headers.get("Content-Security-Policy", "default-src *")
    directives = map(str.split, filter(str.strip, said.split(";")))
    policy = {name: set(sources) for name, *sources in directives}
    broad = {"*", "data:", "http:", "https:", "ftp:", "'unsafe-inline'", "'unsafe-eval'"}
    loaded = set().union(
        *(
            policy.get(kind, policy.get("default-src", broad))
            for kind in ("script-src", "style-src", "object-src")
        )
    )
    age = re.match(r"max-age=(\d+)", headers.get("Strict-Transport-Security", ""))
    cookies = [set(cookie.split("; ")) for cookie in headers.get_all("Set-Cookie", [])]
    passed = {
        "content-security-policy": broad.isdisjoint(loaded) and "http:" not in said,
        "cookies": all(
            "Secure" in cookie
            and cookie & {"SameSite=Lax", "SameSite=Strict"}
            and ("HttpOnly" in cookie or not any(part.startswith("session") for part in cookie))
            for cookie in cookies
        ),
        "cross-origin-resource-sharing": "Access-Control-Allow-Origin" not in headers,
        "redirection": first.status == 301
        and first.headers["Location"].startswith(f"https://{CHESS['domain_name']}/"),
        "referrer-policy": headers["Referrer-Policy"]
        in ("no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin"),
        "strict-transport-security": age and int(age[1]) >= 15768000,
        "subresource-integrity": not re.search(r'<script[^>]* src="(?!/[^/])', page.text),
        "x-content-type-options": headers["X-Content-Type-Options"] == "nosniff",
        "x-frame-options": policy.get("frame-ancestors", broad).isdisjoint(broad),
        "cross-origin-resource-policy": headers["Cross-Origin-Resource-Policy"] == "same-origin",
    }
    return {name for name, good in passed.items() if not good}


def make_certificate(server: Server) -> Path:
    """A certificate where certbot would leave one."""
    live = server.machine.root / "etc/letsencrypt/live" / server.domain
    live.mkdir(parents=True)
    sign_itself(live, server.domain)
    shutil.copy(live / "fullchain.pem", server.machine.root / TRUSTED)
    return live


def sign_itself(folder: Path, name: str) -> None:
    """Makes fullchain.pem and privkey.pem."""
    certificate = "req -x509 -newkey rsa:2048 -nodes -days 2 -keyout privkey.pem"
    names = ("-subj", "/CN=test", "-addext", f"subjectAltName=DNS:{name}")
    command = [require("openssl"), *certificate.split(), *names, "-out", "fullchain.pem"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


# What the visitors trust
TRUSTED = "tmp/ca.pem"


@contextmanager
def led_visitors(server: Server, *, https_ends: bool = False) -> Iterator[None]:
    """Visitors who come by http and go where the answer leads: each must get a page.

    Where https ends, its port may close between the two: whoever sees that comes by http again.
    """

    def visit() -> str:
        response = server.request("/")
        if response.status == 301:
            assert response.headers["Location"] == f"https://{server.domain}/"
            try:
                response = server.request("/", tls=server.machine.root / TRUSTED)
            except ConnectionError:
                if not https_ends:
                    raise
                response = server.request("/")
        assert response.status == 200, response
        return response.text

    with load(server.machine, visit) as visitors:
        yield
    assert visitors.failures == []
    assert visitors.answers


@only("systemd")
def test_what_keeps_nginx_from_https_keeps_the_site_from_it(server: Server) -> None:
    """Whoever wants https gets an error; visitors, nginx and .env are as before."""
    machine, env = server.machine, server.machine.root / "srv/chess/.env"
    change(env, "HTTPS=off", "HTTPS=False")
    live = make_certificate(server)
    key, right = live / "privkey.pem", live / "right.pem"
    neighbour = machine.root / "etc/nginx/sites-enabled/neighbour"

    def refusal() -> str:
        before = env.read_text(), env.stat().st_mode, machine.files()
        done = server.install(*OFFLINE, check=False)
        assert done.returncode == 1
        assert (env.read_text(), env.stat().st_mode, machine.files()) == before
        return done.stderr

    with led_visitors(server):
        key.rename(right)
        subprocess.run([require("openssl"), "genrsa", "-out", key], check=True, capture_output=True)
        assert "key values mismatch" in refusal()
        right.rename(key)
        with machine.inside(partial(listen, "0.0.0.0", 443)):
            assert "https://chess.example.org/healthz gives" in refusal()
        neighbour.write_text("server { oops }")
        assert refusal().startswith("nginx refuses its settings: ")
        neighbour.unlink()
    machine.run("nginx", "-t")


@only("systemd")
def test_with_a_certificate_it_speaks_https(server: Server) -> None:
    """As soon as the switch begins, and killed in the middle of it: nobody is refused."""
    machine, env = server.machine, server.machine.root / "srv/chess/.env"
    live = machine.root / "etc/letsencrypt/live"
    ca = machine.root / TRUSTED
    before = env.read_text().replace("HTTPS=False", "HTTPS={}"), env.stat()
    with led_visitors(server):
        install = (f"{server.code}/deploy/install.sh", *OFFLINE)
        machine.run("timeout", "-s", "KILL", "5", *install, check=False)
        done = server.install(*OFFLINE)
    assert "The site answers at https://chess.example.org/" in done.stdout
    assert env.read_text() == before[0].format("on")
    assert (env.stat().st_mode, env.stat().st_gid) == (before[1].st_mode, before[1].st_gid)

    first = server.get("/admin/")
    assert first.status == 301
    assert first.headers["Location"] == "https://chess.example.org/admin/"
    page, login = server.get("/", tls=ca), server.get("/admin/login/", tls=ca)
    style = re.search(r'href="(/static/pages/site\.\w+\.css)"', page.text)
    assert style
    assert login.headers.get_all("Set-Cookie")
    for response in (page, login, server.get(style[1], tls=ca)):
        assert response.status == 200
        assert failed_tests(first, response) == set()
        assert all(len(response.headers.get_all(name, [])) == 1 for name in ONCE), response.headers
    foreign = ("curl", "-ksS", "-H", "Host: evil.example", "https://127.0.0.1/")
    assert (
        "empty reply"
        in server.machine.inside(
            partial(Project.run, Project(ROOT), *foreign, check=False)
        ).stderr.lower()
    )

    shutil.rmtree(live.parent)
    done = server.install(*OFFLINE, check=False)
    assert done.returncode == 1
    assert "HTTPS is on in /srv/chess/.env, and there is no certificate for" in done.stderr
    env.write_text(before[0].format("off"))
    with led_visitors(server, https_ends=True):
        server.install(*OFFLINE)
    assert server.get("/admin/login/").status == 200


# Both Django and nginx could say them.
ONCE = (
    "Content-Security-Policy",
    "Cross-Origin-Resource-Policy",
    "Referrer-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
)


# nginx must find room for it, in its table of names and in the names of its logs.
LONGEST = "blogs." * 38 + "my.example"


@pytest.fixture(scope="module")
def other(server: Server, bake: Callable[..., Project]) -> Server:
    return put(
        server.machine,
        bake,
        project_slug="blog",
        project_name="A blog",
        domain_name=LONGEST,
        bind="127.0.0.1:8100",
        web_interface="127.0.0.1:9101",
        run_user="blogger",
    )


@only("bookworm")
def test_two_sites_do_not_touch_each_other(server: Server, other: Server) -> None:
    machine = server.machine
    before, mine = machine.files(), server.processes
    facts = machine.root / other.code[1:] / "deploy/server/facts.py"

    def refusal(*options: str) -> str:
        done = other.install(*options, *OFFLINE, check=False)
        assert done.returncode == 1
        return done.stderr

    assert "belongs to another service: give this site a name of its own" in refusal()
    change(facts, '"blogger"', '"www-data"')
    assert refusal("--service", "blog").startswith("www-data runs the site in /srv/chess too, and")
    change(facts, '"www-data"', '"blogger"')
    assert machine.files() ^ before == set()
    change(facts, LONGEST, "chess.example.org")
    with load(machine, server.serves) as visitors:
        said = refusal("--service", "blog")
    assert said.startswith("chess.example.org is the name of another site of nginx, too")
    assert visitors.failures == []
    assert len({*visitors.answers}) == 1
    assert not (machine.root / "etc/nginx/sites-available/blog").exists()
    change(facts, "chess.example.org", LONGEST)

    other.install("--service", "blog", *OFFLINE)
    eventually(other.answers)  # an old worker of nginx may still take a visit
    assert "A blog" in other.get("/").text
    assert "My site" in server.get("/").text
    assert set(other.processes.values()) == {"blogger"}
    as_blogger = ("setpriv", "--reuid=blogger", "--regid=blogger", "--clear-groups")
    if server.database == "sqlite":
        secrets = [".env", "var/db.sqlite3"]
        secret = machine.run(*as_blogger, "cat", "/srv/chess/var/db.sqlite3", check=False)
    else:
        secrets = [".env"]
        secret = machine.run(
            *as_blogger, "psql", "chess", "--command=TABLE django_session", check=False
        )
    assert "ermission denied" in secret.stderr
    for number, file in enumerate(secrets):
        link = f"var/static/{number}.txt"
        machine.run(*as_blogger, "ln", "-s", f"/srv/chess/{file}", f"/srv/blog/{link}")
        assert other.get(f"/static/{number}.txt").status == 403
    style = re.search(r'href="(/static/pages/site\.\w+\.css)"', other.get("/").text)
    assert style
    assert other.get(style[1]).status == 200
    assert machine.run("nginx", "-t", "-q").stderr == ""

    done = other.install("--uninstall", check=False)
    assert done.stderr == "/srv/blog is the service blog: --service blog\n"
    other.service("stop", name="blog")
    assert other.processes == {}
    assert (server.answers(), server.processes) == (True, mine)
    other.service("start", name="blog")

    done = machine.run(
        f"{other.code}/deploy/install.sh", "--uninstall", "--service", "blog", input="no\n"
    )
    assert "The data stays in /srv/blog." in done.stdout
    if server.database == "sqlite":
        assert (machine.root / "srv/blog/var/db.sqlite3").exists()
    else:
        assert {"database blog", "role blogger"} <= machine.files()

    # Its data lies elsewhere, another site of nginx is broken, a third has a name that goes on.
    machine.run("sh", "-ec", "mv /srv/blog/var /var/lib/blog; ln -s /var/lib/blog /srv/blog/var")
    neighbour = machine.root / "etc/nginx/sites-enabled/neighbour"
    neighbour.write_text("server { oops }")
    logs = machine.root / "var/log/nginx"
    foreign = logs / f"{LONGEST}.uk.access.log"
    foreign.touch()
    done = other.install("--uninstall", "--service", "blog", "--yes", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("nginx refuses its settings: ")
    neighbour.unlink()
    foreign.unlink()
    server.service("reload", name="nginx")
    assert other.processes == {}
    assert machine.run("id", "blogger", check=False).returncode == 1
    assert (server.answers(), server.processes) == (True, mine)
    assert machine.files() ^ before == set()


ANOTHER_PYTHON = """
cd /srv/chess
venv=$(readlink -f current/venv)
mv "$venv" venvs/old
mv venvs/old/lib/python3.* venvs/old/lib/python3.9
sed -i "s/^3 .*/3 9/; s,^$venv,$PWD/venvs/old," venvs/old/bootstrap.stamp
sed -i "s,$venv,$PWD/venvs/old," venvs/old/bin/supervisor*
ln -sfn ../../venvs/old current/venv
"""


@only("bookworm-systemd", "bookworm-sysvinit")
def test_a_venv_whose_python_was_replaced_is_mended(server: Server) -> None:
    """As an upgrade of Debian leaves it; what cannot start meanwhile does not fill the journal."""
    machine = server.machine
    machine.run("sh", "-ec", ANOTHER_PYTHON)
    kill(server)
    if machine.init == "systemd":
        time.sleep(8)
        said = machine.run("journalctl", "--since=-8s", "--unit=supervisord", "--output=cat").stdout
        assert "ModuleNotFoundError" in said
        assert len(said.splitlines()) < 25
    else:
        done = server.service("start", code=5)
        assert "cannot be used by www-data: run deploy/install.sh" in done.stderr
    done = server.install(*OFFLINE)
    assert changes(done)[0].startswith("+ /srv/chess/releases/")
    assert server.answers()
    server.service("status")
    machine.run("rm", "-r", "/srv/chess/venvs/old")


# A server that nobody reaches without TLS and a password
FAR = f"""
pg_createcluster 17 far --port=5433
cd /etc/postgresql/17/far
sed 's/^host /hostssl /' pg_hba.conf >hba
cat hba >pg_hba.conf
cp {CODE}/fullchain.pem {CODE}/privkey.pem .
chown postgres: privkey.pem
cat >conf.d/far.conf <<END
listen_addresses = '127.0.0.2'
ssl_cert_file = '$PWD/fullchain.pem'
ssl_key_file = '$PWD/privkey.pem'
END
echo 'hostssl all all 127.0.0.2/32 scram-sha-256' >>pg_hba.conf
echo '127.0.0.2 db.example.org' >>/etc/hosts
pg_ctlcluster 17 far start
"""
FAR_URL = (
    "postgresql://club:p%40ss%2Fword@db.example.org:5433/club"
    "?sslmode=verify-full&sslrootcert=/etc/postgresql/17/far/fullchain.pem"
)
# Runs a command, and keeps what whoever is on the machine may read of all commands meanwhile.
WATCHED = f"""
while :; do cat /proc/[0-9]*/cmdline || :; sleep 0.02; done >>{CODE}/seen 2>/dev/null &
"$@"
kill $!
"""


@only("trixie-systemd")
def test_a_server_on_another_host_is_taken_as_it_is(
    server: Server, bake: Callable[..., Project]
) -> None:
    """By TLS and a password, which no list of processes shows; nothing is made or dropped there."""
    machine = server.machine
    before = machine.files()
    folder = machine.root / CODE[1:]
    sign_itself(folder, "db.example.org")
    machine.run("sh", "-ec", FAR)
    make = "CREATE ROLE club LOGIN CREATEDB PASSWORD 'p@ss/word'; CREATE DATABASE club OWNER club"
    machine.sql(make, port=5433)
    there = {"club", "postgres", "template0", "template1"}
    answers = {"project_slug": "club", "domain_name": "club.example.org", "run_user": "club"}
    club = put(machine, bake, **answers, bind="127.0.0.1:8200", web_interface="off")

    env = machine.root / "srv/club/.env"
    env.parent.mkdir()
    example = (machine.root / club.code[1:] / ".env.example").read_text()
    env.touch(0o600)
    env.write_text(example.replace("DATABASE_URL=", f"DATABASE_URL={FAR_URL}"))
    club.install("--service", "club", *OFFLINE)
    eventually(club.answers)
    with load(machine, club.serves) as visitors:
        release = (f"{club.code}/deploy/release.sh", *OFFLINE)
        machine.run("sh", "-ec", WATCHED, "sh", *release)
        machine.run("sh", "-ec", WATCHED, "sh", f"{club.code}/deploy/backup.sh")
        seen = (folder / "seen").read_text()
    assert visitors.failures == []
    assert "pg_dump" in seen
    assert "ss/word" not in seen
    sessions = "pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'club'"
    assert machine.sql(f"SELECT bool_and(ssl) FROM {sessions}", port=5433) == "t"

    copy = max((machine.root / "srv/club/var/backups").iterdir())
    assert content_types(machine, copy / "database.dump") > 0
    machine.run(f"{club.code}/deploy/restore.sh", "--yes", copy.name)
    eventually(club.answers)

    change(env, "p%40ss", "p%40st")
    done = machine.run(*release, check=False)
    assert done.returncode == 1
    assert "password authentication failed" in done.stderr
    assert "p%40st" not in done.stderr
    assert "p@st" not in done.stderr
    club.install("--uninstall", "--service", "club", "--yes")
    names = machine.sql("SELECT datname FROM pg_database", port=5433).split()
    assert {*names} == there
    machine.run("pg_dropcluster", "--stop", "17", "far")
    machine.run("rm", "-r", "/etc/postgresql/17/far")
    assert machine.files() ^ before == set()


@only("postgresql")
def test_no_task_is_lost_where_the_machine_ends(
    server: Server, bake: Callable[..., Project]
) -> None:
    """Shut down, and then as when the power goes; with Valkey where that is there."""
    machine = server.machine
    valkey = (machine.root / "usr/bin/valkey-server").exists()
    if valkey:
        assert not (machine.root / "usr/bin/redis-server").exists()
        machine.run("systemctl", "disable", "--now", "valkey-server")
        machine.run("ln", "-s", "valkey-server", "/usr/bin/redis-server")
    before = machine.files()
    answers = {"project_slug": "crew", "domain_name": "crew.example.org", "run_user": "crew"}
    more = {"bind": "127.0.0.1:8200", "web_interface": "off", "tasks": "celery"}
    crew = put(machine, bake, **answers, **more)
    add_task(machine.root / crew.code[1:])
    crew.install("--service", "crew", *OFFLINE)
    eventually(crew.answers)
    manage = ("/srv/crew/current/deploy/manage.sh",)
    shell = (*manage, "shell", "--no-imports", "-c")
    machine.run(*shell, ASK.format(sql="CREATE TABLE done (number integer)"))
    machine.run(*shell, QUEUE.format(number=NUMBER, seconds=0.05))
    for ends in (machine.shut_down, machine.lose_power):
        assert not machine.run(*manage, "queue").stdout.startswith("0 waiting")
        ends()
        machine.boot()
        eventually(crew.answers, 60)
        # The first two of three boots, as those of test_it_answers_after_each_of_three_boots
        eventually(server.answers, 30)
        server.service("status")
    said = "0 waiting, the oldest for 0 s; 0 taken\n"
    eventually(lambda: machine.run(*manage, "queue").stdout == said, 120)
    rows = machine.run(*shell, ASK.format(sql="SELECT number FROM done")).stdout.split()
    print(f"{machine.init}: {len(rows) - len({*rows})} of {NUMBER} tasks ran twice")
    assert len({*rows}) == NUMBER
    programs = machine.run("sh", "-c", "readlink /proc/[0-9]*/exe").stdout
    assert ("/usr/bin/valkey-" in programs) == valkey, programs
    for file in ("redis", "redis.sock"):
        assert (machine.root / "srv/crew/var" / file).lstat().st_mode & 0o077 == 0
    crew.install("--uninstall", "--service", "crew", "--yes")
    assert machine.files() ^ before == set()
    if valkey:
        machine.run("rm", "/usr/bin/redis-server")


@only("bookworm-systemd")
def test_debians_own_supervisor_lives_beside_it(server: Server) -> None:
    """Whichever came first."""
    machine = server.machine
    debs = packages("bookworm", "supervisor", "python3-pkg-resources")
    shutil.copytree(debs, machine.root / CODE[1:] / "debs")
    machine.run("sh", "-c", f"dpkg --install {CODE}/debs/*.deb")

    def answers(command: str) -> bool:
        """Theirs has no program."""
        done = machine.run(command, "status", check=False)
        return (done.returncode, done.stdout) == (0, "")

    eventually(lambda: answers("/usr/bin/supervisorctl"), 30)
    said = server.install(*OFFLINE).stdout
    assert "- /usr/local/bin/supervisorctl\n" in said
    ours = "supervisorctl is that of Debian's package here. The site's: (.*)"
    command = re.search(ours, said)
    assert command
    assert "gu-chess:master-1" in machine.run(command[1], "status").stdout
    assert answers("supervisorctl")
    server.service("status")
    shutil.rmtree(machine.root / CODE[1:] / "debs")
    machine.run("dpkg", "--purge", "supervisor", "python3-pkg-resources")
    machine.run("rm", "-rf", "/var/lib/dpkg/updates/tmp.i", "/var/log/supervisor")
    assert changes(server.install(*OFFLINE)) == ["+ /usr/local/bin/supervisorctl"]


@only("bookworm-systemd")
def test_a_machine_without_ipv6_serves(server: Server) -> None:
    """socket(AF_INET6) fails there, for nginx and for install.sh."""
    machine = server.machine
    dropin = machine.root / "etc/systemd/system/nginx.service.d/no-ipv6.conf"
    default = machine.root / "etc/nginx/sites-available/default"
    text = default.read_text()
    dropin.parent.mkdir()
    dropin.write_text("[Service]\nRestrictAddressFamilies=AF_UNIX AF_INET\n")
    default.write_text(re.sub(r"(?m)^.*\[::\].*\n", "", text))
    families = "--property=RestrictAddressFamilies=AF_UNIX AF_INET"
    without = ("systemd-run", "--quiet", "--wait", "--pipe", families)
    machine.run("systemctl", "daemon-reload")
    done = machine.run(*without, f"{server.code}/deploy/install.sh")
    assert changes(done) == [
        "+ /etc/nginx/sites-available/supervisord",
        "$ service nginx reload",
    ]
    server.service("restart", name="nginx")
    assert server.answers()
    shutil.rmtree(dropin.parent)
    default.write_text(text)
    machine.run("systemctl", "daemon-reload")
    server.service("restart", name="nginx")
    server.install(*OFFLINE)


def test_it_answers_after_each_of_three_boots(server: Server) -> None:
    machine = server.machine
    # Two are behind it where test_no_task_is_lost_where_the_machine_ends was.
    for _ in range(1 if machine.database == "postgresql" else 3):
        machine.shut_down()
        machine.boot()
        eventually(server.answers, 30)
        server.service("status")


def test_uninstall_leaves_nothing(server: Server, files_before: set[str]) -> None:
    machine = server.machine
    announced = changes(server.install("--uninstall", "--dry-run", "--yes"))
    assert "- /srv/chess/var" in announced
    assert server.answers()

    assert changes(server.install("--uninstall", "--yes")) == announced
    assert server.processes == {}
    assert machine.files() ^ files_before == set()
    assert machine.run("id", "www-data").returncode == 0
    assert not server.answers()


def status_for_a_foreign_page() -> int:
    """What supervisord's web interface answers to it, without a login."""
    connection = http.client.HTTPConnection("127.0.0.1", 9001, timeout=10)
    try:
        connection.request("GET", "/", headers={"Sec-Fetch-Site": "cross-site"})
        return connection.getresponse().status
    finally:
        connection.close()


@only("bookworm-sysvinit", "trixie-systemd")
def test_an_old_version_becomes_todays(
    server: Server, files_before: set[str], short_folder: Path, bake: Callable[..., Project]
) -> None:
    """Its code, its service, its site of nginx, as if nothing else had ever been there."""
    machine = server.machine
    code = machine.root / server.code[1:]
    today, wheels = code.with_name("today"), code.with_name("wheels")
    old = bake_old(Path(tempfile.mkdtemp(dir=short_folder)), **CHESS, install_dir="/srv/chess")
    shutil.rmtree(code)
    shutil.copytree(bake(**CHESS, install_dir="/srv/chess").path, today)  # with SQLite, as OLD
    shutil.copytree(old.path, code)
    shutil.copytree(wheelhouse(old.path / "requirements.txt"), wheels)
    # These two have not changed since.
    for name in ("init.d/supervisord", "nginx/http.conf"):
        with (code / "deploy" / name).open("a") as same:
            same.write("# Old\n")
    server.install("--offline", "--wheelhouse", f"{CODE}/wheels")
    eventually(server.answers)
    first, env = machine.inside(server.serves), (machine.root / "srv/chess/.env").read_text()

    shutil.rmtree(code)
    shutil.rmtree(wheels)
    today.rename(code)
    users = Document(read("UPGRADING.md")).section("To 1.0.0: users in a table of the site's own")
    manage = f"{server.code}/deploy/manage.sh"
    machine.run(manage, "shell", "--no-imports", "-c", users.block("python"))
    with load(machine, server.serves) as visitors:
        server.release()
        done = server.install(*OFFLINE)
    assert visitors.failures == []
    assert len(visitors.answers) > 50
    assert machine.inside(server.serves) != first
    service = {
        "systemd": ("/etc/systemd/system/supervisord.service", "systemd/supervisord.service"),
        "sysvinit": ("/etc/init.d/supervisord", "init.d/supervisord"),
    }
    site = ("/etc/nginx/sites-available/supervisord", "nginx/http.conf")
    for path, source in (service[machine.init], site):
        assert f"+ {path}\n" in done.stdout
        assert (machine.root / path[1:]).read_text() == filled(Project(code), source)
    assert (machine.root / "srv/chess/.env").read_text() == env

    # supervisord's own plugins are new once it starts again: that of OLD obeyed foreign pages.
    assert machine.inside(status_for_a_foreign_page) == 401
    server.service("restart")
    eventually(server.answers, 20)
    assert machine.inside(status_for_a_foreign_page) == 403

    server.install("--uninstall", "--yes")
    assert machine.files() ^ files_before == set()
