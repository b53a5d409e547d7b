"""The life of a site, once in each language: from the question to the last process.

The tests stand in the order of that life, and each needs those before it. What they go through,
other files test in full; this one is the quick run's.
"""

import html
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from load import CLIENTS, visitors
from support.commands import AS_USER, USER
from support.lesson import Reader
from support.ports import free_port
from support.server import rest
from support.template import LANGUAGES, cookiecutter
from support.waiting import eventually

from local_extensions.translations import translate

NAME = 'L\'Été – 100 % "sûr" 😀'
GROUP = "gu-life"
# Of each visitor, in seconds: some processor is left to what they visit.
REST = 0.1


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def site(language: str, template: Path, short_folder: Path) -> Iterator[Reader]:
    """What the command of the README makes, in a home folder; nothing of it was run."""
    home = Path(tempfile.mkdtemp(prefix="l", dir=short_folder))
    port, web_port = free_port(), free_port()
    answers = (
        *(f"language={language}", f"project_name={NAME}", "project_slug=life"),
        *(f"bind=127.0.0.1:{port}", f"web_interface=127.0.0.1:{web_port}"),
    )
    done = cookiecutter(home, str(template), "--no-input", *answers)
    assert done.returncode == 0, done.stderr
    (home / "uv").mkdir()
    shutil.copy(Path(sys.executable).parent / "uv", home / "uv")
    (home / "srv").mkdir()
    home.chmod(0o755)
    if AS_USER:
        subprocess.run(["chown", "-R", USER, home], check=True)
    site = Reader(home / "life", port, web_port)
    yield site
    site.stop()


@pytest.fixture(scope="module")
def server(site: Reader) -> Iterator[Reader]:
    """The folder on a server that the site is released into."""
    server = Reader(site.home / "srv", site.port, site.web_port)
    yield server
    server.stop()


def release(site: Reader, server: Reader, *options: str) -> str:
    """Releases the code as it is now; the folder of what then serves."""
    site.run("deploy/release.sh", "--into", str(server.path), *options)
    return (server.path / "current").readlink().name


def in_service(server: Reader, command: str, *arguments: str) -> None:
    """Runs a command of supervisor's of the release that serves."""
    config = f"{server.path}/current/deploy/supervisord.conf"
    server.run(f"current/venv/bin/{command}", "-c", config, *arguments)


def check_pages(site: Reader, language: str) -> None:
    """Asserts that the home page comes in its language, and with its style."""
    page = site.get("/")
    assert page.status == 200
    assert f'<h1 dir="auto">{html.escape(NAME)}</h1>' in page.text
    assert f'<html lang="{language}">' in page.text
    style = re.search(r'href="(/static/pages/site\.\w+\.css)"', page.text)
    assert style
    assert site.get(style[1]).text == (site.path / "pages/static/pages/site.css").read_text()


def test_it_is_set_up_by_one_command(site: Reader, language: str) -> None:
    said = site.run("./bootstrap.sh")
    assert translate("Everything is in place.", language) in said.stdout
    assert f"http://127.0.0.1:{site.port}/" in said.stdout
    assert said.stderr == ""


def test_its_own_tests_pass(site: Reader) -> None:
    done = site.python("manage.py", "test")
    assert re.search(r"Ran [1-9]\d* tests", done.stderr)


def test_it_starts_and_answers(site: Reader, language: str) -> None:
    site.start()
    eventually(lambda: len(site.masters()) == 2)
    check_pages(site, language)
    assert site.get("/healthz").text == "ok life\n"


def test_a_killed_worker_is_replaced(site: Reader) -> None:
    site.await_workers()
    masters = site.masters()
    (killed, *_) = site.workers(masters[f"{GROUP}:master-1"])
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: not site.alive(killed), 5)
    site.await_workers()
    eventually(site.answers, 5)
    assert site.masters() == masters


def test_a_killed_master_is_replaced(site: Reader) -> None:
    """It loses what it had in hand, and nobody is refused; its workers end with it."""
    masters = site.masters()
    killed = masters[f"{GROUP}:master-1"]
    workers = site.workers(killed)
    with visitors(site.port, rest=REST) as visits:
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: len(site.masters()) == 2 and killed not in site.masters().values())
    assert set(visits.failures) <= {"lost", "cut"}
    assert sum(visits.failures.values()) <= CLIENTS
    assert site.masters()[f"{GROUP}:master-2"] == masters[f"{GROUP}:master-2"]
    eventually(lambda: not any(map(site.alive, workers)), 5)


def test_a_restart_fails_no_request(site: Reader) -> None:
    old = site.masters().values()
    with visitors(site.port, rest=REST) as visits:
        site.supervisorctl("rolling_restart", GROUP, check=True)
    assert visits.failures == {}
    assert not {*old} & {*site.masters().values()}


def test_nothing_is_left_once_it_is_shut_down(site: Reader) -> None:
    site.supervisorctl("shutdown", check=True)
    eventually(lambda: site.processes() == [], 50)


def test_it_is_released_into_a_folder_and_started_there(
    site: Reader, server: Reader, language: str
) -> None:
    first = release(site, server)
    in_service(server, "supervisord")
    eventually(lambda: len(server.masters()) == 2)
    assert server.get("/healthz").text == f"ok {first}\n"
    assert f'<html lang="{language}">' in server.get("/").text


def test_a_change_is_released_and_taken_back_and_fails_no_request(
    site: Reader, server: Reader
) -> None:
    first = (server.path / "current").readlink().name
    site.change("pages/templates/pages/home.html", '<h1 dir="auto">', '<h1 dir="auto">New: ')
    with visitors(server.port, rest=rest(server.path)) as visits:
        second = release(site, server)
    assert visits.failures == {}
    assert server.get("/healthz").text == f"ok {second}\n"
    assert '<h1 dir="auto">New: ' in server.get("/").text

    with visitors(server.port, rest=REST) as visits:
        assert release(site, server, "--rollback") == first != second
    assert visits.failures == {}
    assert server.get("/healthz").text == f"ok {first}\n"
    assert '<h1 dir="auto">New: ' not in server.get("/").text


def test_nothing_is_left_on_the_server_once_it_is_shut_down(server: Reader) -> None:
    in_service(server, "supervisorctl", "shutdown")
    eventually(lambda: server.processes() == [], 50)
