"""The troubles of the lesson: each is made to happen, shows its message, and is mended as it says."""

import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from http.client import RemoteDisconnected
from pathlib import Path

import pytest
from support.commands import AS_USER, PYTHON, USER, require
from support.lesson import TROUBLES, Reader, lesson_of, reader, serves, shown
from support.nginx import ASCII_DOMAIN, make_certificate, serving
from support.pages import home_page_that
from support.ports import free_port, listens
from support.project import Project
from support.smtp import mail_server
from support.waiting import eventually

pytestmark = pytest.mark.slow


@dataclass
class Trouble:
    """What the lesson says about a trouble."""

    symptom: str
    # Its commands; some remedies have none.
    remedy: str


TITLES = (
    "FATAL, Exited too quickly",
    "A log cannot be written",
    "The socket is missing",
    "The socket refuses you",
    "The path of the socket is too long",
    "The environment is not loaded",
    "A % in a value",
    "The port is taken",
    "An orphan",
    "The wrong venv",
    "Static files are missing",
    "A page takes too long",
    "The site is busy",
    "The web interface cannot be reached",
    "No mail arrives",
    "Bad request behind nginx",
    "CSRF verification failed behind nginx",
    "The browser goes to https and finds nobody",
)


@pytest.fixture(scope="module")
def made(bake: Callable[..., Project], short_folder: Path) -> Iterator[Reader]:
    with reader(bake, short_folder) as made:
        yield made


def trouble(site: Reader, title: str) -> Trouble:
    section = lesson_of(site)[TROUBLES].section(title)
    remedies = [text for kind, text in section.blocks if kind == "sh"]
    return Trouble(section.block("text").strip(), "".join(remedies))


def test_each_trouble_is_here(made: Reader) -> None:
    sections = lesson_of(made)[TROUBLES].sections
    assert tuple(each.title for each in sections if each.level == "h2") == TITLES


@pytest.fixture
def stopped(made: Reader) -> Iterator[Reader]:
    """The site, set up and not running; its files are put back afterwards."""
    made.type("./bootstrap.sh")
    made.stop()
    deploy = ("supervisord.conf", "gunicorn.conf.py", "nginx/site.conf")
    files = (".env", "lesson/settings.py", *(f"deploy/{name}" for name in deploy))
    kept = {made.path / file: (made.path / file).read_text() for file in files}
    yield made
    made.stop()
    for path, text in kept.items():
        path.write_text(text)


@pytest.fixture
def site(stopped: Reader) -> Reader:
    """The site with both masters running."""
    stopped.start()
    eventually(lambda: len(stopped.masters()) == 2, 30)
    return stopped


@pytest.fixture
def patient(stopped: Reader) -> Reader:
    """The site, not running; on a busy machine it may take more than two seconds to fail."""
    stopped.change("deploy/supervisord.conf", "startsecs = 2", "startsecs = 6")
    return stopped


def given_up(site: Reader) -> bool:
    """Whether supervisord tries to start no master any more."""
    return [state for state, _ in site.states().values()] == ["FATAL", "FATAL"]


def test_exited_too_quickly(patient: Reader) -> None:
    said = trouble(patient, "FATAL, Exited too quickly")
    patient.change("lesson/settings.py", "USE_TZ = True", "USE_TZ = Yes")
    patient.type("venv/bin/supervisord")
    eventually(lambda: given_up(patient), 60)
    symptom = said.symptom.replace("…", "; next try at ")
    assert patient.status().count(symptom) == 2
    assert "name 'Yes' is not defined" in patient.type(said.remedy.splitlines()[0])

    patient.change("lesson/settings.py", "USE_TZ = Yes", "USE_TZ = True")
    patient.type(said.remedy)
    assert serves(patient)


@pytest.mark.usefixtures("as_root")
def test_a_log_cannot_be_written(stopped: Reader) -> None:
    said = trouble(stopped, "A log cannot be written")
    logs = stopped.path / "var" / "log"
    for name in ("supervisord.log", "gu-lesson-1.log"):
        (logs / name).touch()
        shutil.chown(logs / name, "root")
    assert shown(said.symptom, stopped.type("venv/bin/supervisord", check=False))

    shutil.chown(logs / "supervisord.log", USER)
    stopped.type("venv/bin/supervisord")
    eventually(
        lambda: "unknown error making dispatchers for 'master-1': EACCES" in stopped.status(), 30
    )
    stopped.stop()

    chown, start = said.remedy.splitlines()
    owner = chown.removeprefix("sudo ").replace("$(id -un)", USER)
    subprocess.run(["sh", "-ec", owner], cwd=stopped.path, check=True)
    stopped.type(start)
    assert serves(stopped)


def test_the_socket_is_missing(stopped: Reader) -> None:
    said = trouble(stopped, "The socket is missing")
    assert shown(said.symptom, stopped.status())
    stopped.type(said.remedy)
    assert serves(stopped)


@pytest.mark.usefixtures("as_root")
def test_the_socket_refuses_another_user(site: Reader) -> None:
    said = trouble(site, "The socket refuses you")
    command = ["venv/bin/supervisorctl", "status"]
    done = Project.run(site, *command, user="daemon", group="daemon", extra_groups=[], check=False)
    assert shown(said.symptom, done.stdout + done.stderr)
    # Root without sudo, and without install.sh, which links the command.
    assert said.remedy == "sudo supervisorctl status\n"
    assert "RUNNING" in Project.run(site, *command).stdout


def test_the_path_of_the_socket_is_too_long(stopped: Reader) -> None:
    said = trouble(stopped, "The path of the socket is too long")
    deep = replace(stopped, path=stopped.home / ("deep" * 25) / "lesson")
    shutil.copytree(
        stopped.path, deep.path, ignore=shutil.ignore_patterns("venv", "var", "current")
    )
    if AS_USER:
        subprocess.run(["chown", "-R", USER, deep.path.parent], check=True)
    high = replace(stopped, path=stopped.home / "moved")
    try:
        assert shown(said.symptom, deep.type("./bootstrap.sh", check=False))
        deep.path.rename(high.path)
        high.type(said.remedy)
        assert serves(high)
        high.stop()
    finally:
        high.stop()
        shutil.rmtree(deep.path.parent)
        shutil.rmtree(high.path, ignore_errors=True)


def test_the_environment_is_not_loaded(patient: Reader) -> None:
    said = trouble(patient, "The environment is not loaded")
    (patient.path / ".env").unlink()
    patient.type("venv/bin/supervisord")
    eventually(lambda: given_up(patient), 60)
    assert shown(said.symptom, patient.logs())
    patient.type(said.remedy)
    assert serves(patient)


def test_a_percent_sign_in_a_value(stopped: Reader) -> None:
    said = trouble(stopped, "A % in a value")
    quoted, doubled = 'DISCOUNT="50%"', 'DISCOUNT="50%%"'
    assert doubled in lesson_of(stopped)[TROUBLES].section("A % in a value").spans
    with (stopped.path / "deploy" / "supervisord.conf").open("a") as config:
        config.write(f"environment = {quoted}\n")
    assert said.symptom in stopped.type("venv/bin/supervisord", check=False)

    stopped.change("deploy/supervisord.conf", quoted, doubled)
    stopped.type(said.remedy)
    assert serves(stopped)
    pid = stopped.masters()["gu-lesson:master-1"]
    assert b"DISCOUNT=50%\0" in Path(f"/proc/{pid}/environ").read_bytes()

    stopped.stop()
    stopped.change("deploy/supervisord.conf", f"environment = {doubled}\n", "")
    with (stopped.path / ".env").open("a") as env:
        env.write("DISCOUNT=50%\n")
    command = "import os; print(os.environ['DISCOUNT'])"
    assert stopped.python("manage.py", "shell", "-c", command).stdout.endswith("50%\n")


def is_taken(site: Reader) -> bool:
    return f"127.0.0.1:{site.port} " in site.run("ss", "-ltn").stdout


def test_the_port_is_taken(stopped: Reader) -> None:
    said = trouble(stopped, "The port is taken")
    other = (*AS_USER, PYTHON, "-m", "http.server", "--bind", "127.0.0.1", str(stopped.port))
    with subprocess.Popen(other, cwd="/", stderr=subprocess.DEVNULL) as process:
        eventually(lambda: is_taken(stopped))
        assert said.symptom in stopped.type("venv/bin/supervisord", check=False)
        assert f"pid={process.pid}," in stopped.type(said.remedy)
        process.kill()
    stopped.type("venv/bin/supervisord")
    assert serves(stopped)


def test_an_orphan(stopped: Reader) -> None:
    said = trouble(stopped, "An orphan")
    address = f"127.0.0.1:{stopped.port}"
    by_hand = f"venv/bin/gunicorn --config deploy/gunicorn.conf.py --bind {address} --daemon"
    stopped.type(by_hand)
    eventually(stopped.answers, 30)
    assert "no such file" in stopped.status()
    assert "Address already in use" in stopped.type("venv/bin/supervisord", check=False)
    listeners = stopped.type(trouble(stopped, "The port is taken").remedy)
    assert shown(said.symptom.rstrip(")"), listeners)

    orphan = min(map(int, re.findall(r"pid=(\d+)", listeners)))
    kill, start = said.remedy.replace("4242", str(orphan)).splitlines()
    stopped.type(kill)
    eventually(lambda: not is_taken(stopped), 40)
    stopped.type(start)
    assert serves(stopped)


def test_the_wrong_venv(stopped: Reader) -> None:
    said = trouble(stopped, "The wrong venv")
    assert said.symptom in stopped.type("python3 manage.py check", check=False)
    assert "no issues" in stopped.type(said.remedy)

    moved = replace(stopped, path=stopped.path.rename(stopped.home / "moved"))
    try:
        for shell in ("sh", "bash"):
            start = moved.type(f"{shell} -c venv/bin/supervisord", check=False)
            assert re.search("venv/bin/supervisord: .*(not found|bad interpreter)", start)
        moved.type(said.remedy)
        moved.type("venv/bin/supervisord")
        assert serves(moved)
    finally:
        moved.stop()
        moved.path.rename(stopped.path)


def test_static_files_are_missing(site: Reader) -> None:
    said = trouble(site, "Static files are missing")
    home = site.path / "pages" / "templates" / "pages" / "home.html"
    logo = site.path / "pages" / "static" / "pages" / "logo.svg"
    before = home.read_text()
    try:
        home.write_text(before.replace("<h2", "<img src=\"{% static 'pages/logo.svg' %}\"><h2", 1))
        shutil.copy(logo.with_name("icon.svg"), logo)
        site.supervisorctl("rolling_restart", "gu-lesson", check=True)
        assert site.get("/").status == 500
        eventually(lambda: said.symptom in site.logs())
        site.type(said.remedy)
        assert site.get("/").status == 200
        assert "/static/pages/logo." in site.get("/").text
    finally:
        home.write_text(before)
        logo.unlink(missing_ok=True)


def test_a_page_takes_too_long(stopped: Reader) -> None:
    said = trouble(stopped, "A page takes too long")
    stopped.change("deploy/gunicorn.conf.py", "timeout = 20", "timeout = 2")
    stopped.start()
    with home_page_that(stopped, "import time; time.sleep(30)"):
        stopped.supervisorctl("rolling_restart", "gu-lesson", check=True)
        assert stopped.get("/").status == 503
        eventually(lambda: said.symptom in stopped.logs())
        lines = stopped.type(said.remedy).splitlines()
        assert "    import time; time.sleep(30)" in lines


def test_the_site_is_busy(stopped: Reader) -> None:
    said = trouble(stopped, "The site is busy")
    write = "from django.contrib.sessions.models import Session; Session.objects.all().delete()"
    database = stopped.path / "var" / "db.sqlite3"
    with home_page_that(stopped, write), closing(sqlite3.connect(database)) as other:
        stopped.start()
        other.execute("BEGIN IMMEDIATE")
        assert stopped.get("/").status == 503
        eventually(lambda: said.symptom in stopped.logs())
        assert stopped.get("/healthz").status == 200
        other.rollback()
        assert stopped.get("/").status == 200


@contextmanager
def ssh_server(site: Reader) -> Iterator[tuple[str, ...]]:
    """Debian's own, on a free port; gives the options with which ssh gets in."""
    sshd, port = require("sshd"), str(free_port())
    folder = site.home / "ssh"
    folder.mkdir()
    Path("/run/sshd").mkdir(exist_ok=True)
    for key in ("host", "user"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)]
        subprocess.run(command, check=True)
    settings = ("-o", "ListenAddress=127.0.0.1", "-o", "StrictModes=no", "-o", "PidFile=none")
    keys = ("-h", str(folder / "host"), "-o", f"AuthorizedKeysFile={folder}/user.pub")
    command = [sshd, "-D", "-f", "/dev/null", "-p", port, *settings, *keys]
    options = ("-F", "/dev/null", "-p", port, "-i", str(folder / "user"), "-o", "BatchMode=yes")
    trust = ("-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={folder}/known")
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            yield (*options, *trust)
        finally:
            server.terminate()
            shutil.rmtree(folder)


@pytest.mark.usefixtures("as_root")
def test_the_web_interface_cannot_be_reached(site: Reader) -> None:
    """127.0.0.2 is as far from it as another machine; the tunnel begins at a port of that one."""
    said = trouble(site, "The web interface cannot be reached")
    domain = ASCII_DOMAIN
    here = f"http://{domain}:{site.web_port}/"
    far = f"curl -sS --resolve {domain}:{site.web_port}:127.0.0.2 {here}"
    assert shown(said.symptom, site.type(far, check=False))

    tunnel = said.remedy.split()
    mine = free_port()
    ends = f"{site.web_port}:127.0.0.1:{site.web_port}"
    assert tunnel == ["ssh", "-N", "-L", ends, f"you@{domain}"]
    ends = f"127.0.0.1:{mine}:127.0.0.1:{site.web_port}"
    with ssh_server(site) as options, ExitStack() as stack:

        def connected() -> subprocess.Popen[bytes] | None:
            command = ["ssh", *options, "-N", "-L", ends, "root@127.0.0.1"]
            process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            try:
                eventually(lambda: process.poll() is not None or listens(mine))
            except AssertionError:
                process.kill()
                raise
            return process if process.poll() is None else None

        process = eventually(connected, 30)
        stack.callback(process.wait)
        stack.callback(process.terminate)
        assert site.get("/", port=mine).status == 401


def test_no_mail_arrives(site: Reader) -> None:
    said = trouble(site, "No mail arrives")
    console, nowhere = "EMAIL_URL=consolemail://", f"EMAIL_URL=smtp://127.0.0.1:{free_port()}"
    site.change(".env", console, nowhere)
    site.python("manage.py", "shell", "--no-imports", "-c", "import logging; logging.error('x')")
    log = site.path / "var" / "log" / "alerts.log"
    eventually(lambda: shown(said.symptom, log.read_text()))
    with mail_server() as inbox:
        site.change(".env", nowhere, f"EMAIL_URL={inbox.url}")
        site.type(said.remedy)
        # A program that died in an earlier trouble may be told of, too.
        eventually(lambda: any(each.endswith("ERROR x") for each in inbox.subjects()))


def test_bad_request_behind_nginx(site: Reader, tmp_path: Path) -> None:
    said = trouble(site, "Bad request behind nginx")
    name = "server_name @server_name@"
    site.change("deploy/nginx/site.conf", f"{name};", f"{name} blog.example;")
    (site.path / "current").symlink_to(".")
    try:
        with serving(site, make_certificate(tmp_path), "http.conf") as nginx:
            with pytest.raises(RemoteDisconnected):
                nginx.get(Host="other.example")
            assert nginx.get(Host="blog.example").status == 400
            eventually(lambda: said.symptom in site.logs())
            site.change(".env", "ALLOWED_HOSTS=", "ALLOWED_HOSTS=blog.example,")
            site.type(said.remedy)
            assert nginx.get(Host="blog.example").status == 200
    finally:
        (site.path / "current").unlink()


def test_csrf_verification_failed_behind_nginx(site: Reader, tmp_path: Path) -> None:
    title = "CSRF verification failed behind nginx"
    said = trouble(site, title)
    host, scheme = lesson_of(site)[TROUBLES].section(title).block("nginx").splitlines()
    certificate = make_certificate(tmp_path)
    (site.path / "current").symlink_to(".")
    try:
        site.change("deploy/nginx/site.conf", scheme, "")
        assert post_a_form(site, certificate) == "403"
        eventually(lambda: said.symptom in site.logs())

        site.change("deploy/nginx/site.conf", host, f"{host}\n    {scheme}")
        assert post_a_form(site, certificate) == "200"
    finally:
        (site.path / "current").unlink()


def post_a_form(site: Reader, certificate: Path) -> str:
    """The status of the admin's login form, sent by a browser that came by https."""
    domain = ASCII_DOMAIN
    with serving(site, certificate, "https.conf") as nginx:
        page = nginx.get_by_tls("/admin/login/")
        cookie = page.headers["Set-Cookie"].partition(";")[0]
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
        assert token
        done = Project.run(
            site,
            *("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"Host: {domain}"),
            *("--cacert", str(certificate), "-H", f"Origin: https://{domain}"),
            *("--resolve", f"{domain}:{nginx.tls_port}:127.0.0.1", "-H", f"Cookie: {cookie}"),
            *("-d", f"csrfmiddlewaretoken={token[1]}&username=x&password=x"),
            f"https://{domain}:{nginx.tls_port}/admin/login/",
        )
    shutil.rmtree(site.home / "https.conf")
    return done.stdout


def test_the_browser_goes_to_https(site: Reader) -> None:
    said = trouble(site, "The browser goes to https and finds nobody")
    site.change(".env", "HTTPS=off", "HTTPS=on")
    site.type(said.remedy)
    look = f"curl -sI http://127.0.0.1:{site.port}/"
    assert said.symptom in site.type(look)
    site.change(".env", "HTTPS=on", "HTTPS=off")
    site.type(said.remedy)
    assert site.type(look).startswith("HTTP/1.1 200 OK")
