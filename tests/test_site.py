"""A generated site, end to end: real supervisord, real gunicorn, real requests."""

import base64
import configparser
import gzip
import os
import re
import signal
import socket
import stat
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from support.project import Site
from support.waiting import eventually

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(make_site: Callable[..., Site]) -> Site:
    return make_site(project_name='L\'Été "sûr"', project_slug="ete")


@pytest.fixture
def site(made: Site) -> Site:
    """The site, with both masters running, whatever the test before did to it."""
    if not made.answers():
        made.start()
    eventually(lambda: len(made.masters()) == 2)
    return made


def test_the_home_page_shows_that_the_setup_works(site: Site) -> None:
    response = site.get("/")
    assert response.status == 200
    assert '<h1 dir="auto">L&#x27;Été &quot;sûr&quot;</h1>' in response.text
    assert re.search(r"<code>gu-ete:master-[12]</code>", response.text)


def test_healthz_reads_the_database(site: Site) -> None:
    assert (site.get("/healthz").status, site.get("/healthz").text) == (200, "ok ete\n")

    rename = "from django.db import connection; connection.cursor().execute('{}')"
    there = "ALTER TABLE django_content_type RENAME TO moved"
    site.python("manage.py", "shell", "-c", rename.format(there))
    response = site.get("/healthz")
    back = "ALTER TABLE moved RENAME TO django_content_type"
    site.python("manage.py", "shell", "-c", rename.format(back))

    assert (response.status, response.text) == (503, "unavailable\n")
    eventually(lambda: "no such table: django_content_type" in site.logs())


def test_pages_carry_the_security_headers(site: Site) -> None:
    headers = site.get("/").headers
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert "camera=()" in headers["Permissions-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_static_files_are_compressed_and_cached_for_ever(site: Site) -> None:
    address = re.search(r'href="(/static/pages/site\.\w+\.css)"', site.get("/").text)
    assert address
    url = f"http://127.0.0.1:{site.port}{address[1]}"
    request = urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert "immutable" in response.headers["Cache-Control"]
        css = gzip.decompress(response.read())
    assert css == (site.path / "pages/static/pages/site.css").read_bytes()


def test_the_admin_and_the_error_page_answer(site: Site) -> None:
    assert site.get("/admin/login/").status == 200
    response = site.get("/no-such-page")
    assert (response.status, "Page not found" in response.text) == (404, True)


def test_supervisorctl_needs_no_options(site: Site) -> None:
    done = site.supervisorctl("status")
    assert done.returncode == 0
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        ["alerts", "RUNNING"],
        ["gu-ete:master-1", "RUNNING"],
        ["gu-ete:master-2", "RUNNING"],
    ]


def test_supervisorctl_rereads_the_config(site: Site) -> None:
    assert site.supervisorctl("update").returncode == 0
    assert site.supervisorctl("reread").stdout == "No config updates to processes\n"


def test_requests_are_logged(site: Site) -> None:
    site.get("/healthz?logged")
    eventually(lambda: "GET /healthz?logged" in site.logs())


def test_the_web_interface_wants_a_login(site: Site) -> None:
    secret = site.path / "deploy" / "web_interface.conf"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    parser = configparser.RawConfigParser()
    parser.read(secret)
    login = f"admin:{parser['inet_http_server']['password']}"
    basic = f"Basic {base64.b64encode(login.encode()).decode()}"

    assert site.get("/", port=site.web_port).status == 401
    assert site.get("/", port=site.web_port, Authorization="Basic YWRtaW46").status == 401
    response = site.get("/", port=site.web_port, Authorization=basic)
    assert (response.status, "gu-ete:master-1" in response.text) == (200, True)


def test_only_the_owner_may_open_the_unix_socket(site: Site) -> None:
    mode = (site.path / "var" / "ctl.sock").stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o700


def test_a_killed_supervisord_leaves_no_orphan(site: Site) -> None:
    old = site.processes()
    assert site.pid
    os.kill(site.pid, signal.SIGKILL)
    site.run("venv/bin/supervisord")
    eventually(site.answers, 5)
    eventually(lambda: not any(map(site.alive, old)), 5)
    assert site.pid in site.processes()


def test_two_sites_do_not_touch_each_other(site: Site, make_site: Callable[..., Site]) -> None:
    other = make_site(project_slug="other")
    other.start()
    eventually(lambda: len(other.masters()) == 2)
    mine, theirs = site.masters(), other.masters()
    assert set(mine) == {"gu-ete:master-1", "gu-ete:master-2"}
    assert set(theirs) == {"gu-other:master-1", "gu-other:master-2"}

    other.stop()
    assert other.processes() == []
    assert site.answers()
    assert site.masters() == mine


def test_logs_rotate(make_site: Callable[..., Site]) -> None:
    site = make_site(web_interface="off", project_slug="logs")
    config = site.path / "deploy" / "supervisord.conf"
    config.write_text(config.read_text().replace("maxbytes = 10MB", "maxbytes = 4KB"))
    site.start()
    for number in range(100):
        site.get(f"/healthz?{number}=")
    site.stop()

    logs = {log.name: log.read_text() for log in site.path.glob("var/log/gu-logs-*.log*")}
    assert "gu-logs-1.log.1" in logs or "gu-logs-2.log.1" in logs
    # supervisord writes all that it has read, then looks at the size: an old file may be larger.
    assert all(len(logs[f"gu-logs-{number}.log"]) < 4096 for number in (1, 2))
    written = "".join(logs.values())
    assert all(f"/healthz?{number}=" in written for number in range(100))


def test_the_web_interface_can_be_off(make_site: Callable[..., Site]) -> None:
    site = make_site(web_interface="off")
    assert "inet_http_server" not in (site.path / "deploy" / "supervisord.conf").read_text()
    assert not (site.path / "deploy" / "web_interface.conf").exists()
    site.start()
    assert site.supervisorctl("status").returncode in (0, 3)
    inodes = Path(f"/proc/{site.pid}/net/tcp").read_text()
    assert f":{site.port:04X} " in inodes
    assert f":{site.web_port:04X} " not in inodes


def test_a_taken_port_is_said_in_one_sentence(site: Site) -> None:
    site.stop()
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", site.port))
        holder.listen()
        done = site.run("venv/bin/supervisord", check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.endswith(
        f"Could not create FastCGI socket tcp://127.0.0.1:{site.port}:"
        " [Errno 98] Address already in use\n"
        "Stop the program that listens there, or change the address in deploy/supervisord.conf.\n"
    )
    assert site.processes() == []
