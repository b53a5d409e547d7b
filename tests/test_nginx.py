"""nginx as the template delivers it, in front of a real site: only ports and folders are the test's."""

import os
import random
import re
import shutil
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import load
import pytest
from support.nginx import ASCII_DOMAIN, DOMAIN, Nginx, make_certificate, serving
from support.ports import free_port
from support.project import Project, Response, Site, copy_venv
from support.service_files import name_folder
from support.waiting import eventually

pytestmark = pytest.mark.slow

# What Mozilla's Observatory looks for in every answer.
HEADERS = {
    "Content-Security-Policy": "default-src 'self'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


# A page that the template has not: it counts what is sent to it, and takes its time.
COUNT = """
import os
import time
from pathlib import Path

from django.conf import settings
from django.http import HttpResponse
from django.views.decorators.csrf import csrf_exempt


@csrf_exempt
def count(request):
    with Path(settings.BASE_DIR, "var", "counted").open("a") as file:
        file.write(request.GET.urlencode().rstrip("=") + "\\n")
    time.sleep(0.05)
    return HttpResponse("counted")


urlpatterns += [path("count", count)]
"""


@pytest.fixture(scope="module")
def site(bake: Callable[..., Project], made_venv: Path, short_folder: Path) -> Iterator[Site]:
    """A running site in its folder, which is its own current release."""
    port, web_port = free_port(), free_port()
    path = short_folder / "nginx" / "site"
    project = bake(
        domain_name=DOMAIN,
        bind=f"127.0.0.1:{port}",
        web_interface=f"127.0.0.1:{web_port}",
    )
    shutil.copytree(project.path, path)
    name_folder(path, path)
    (path / "current").symlink_to(".")
    copy_venv(made_venv, path / "venv")
    site = Site(path, port, web_port)
    site.run("./bootstrap.sh")
    with next(path.glob("*/urls.py")).open("a") as urls:
        urls.write(COUNT)
    site.start()
    yield site
    site.stop()


@pytest.fixture(scope="module")
def certificate(site: Site) -> Path:
    return make_certificate(site.path.parent)


@pytest.fixture(scope="module")
def plain(site: Site, certificate: Path) -> Iterator[Nginx]:
    """nginx with http.conf."""
    with serving(site, certificate, "http.conf") as nginx:
        yield nginx


@pytest.fixture(scope="module")
def secure(site: Site, certificate: Path) -> Iterator[Nginx]:
    """nginx with https.conf, and the site set for it."""
    env = site.path / ".env"
    before = env.read_text()
    env.write_text(before.replace("HTTPS=off", "HTTPS=on"))
    site.stop()
    site.start()
    with serving(site, certificate, "https.conf") as nginx:
        yield nginx
    env.write_text(before)
    site.stop()
    site.start()


def static_file(response: Response) -> str:
    """The address of the page's style sheet."""
    found = re.search(r'href="(/static/pages/site\.\w+\.css)"', response.text)
    assert found
    return found[1]


def check_headers(response: Response) -> None:
    """Each header once, and nothing that tells versions."""
    for name, value in HEADERS.items():
        (found,) = response.headers.get_all(name, [])
        assert value in found, name
    assert response.headers["Server"] == "nginx"


def test_pages_come_from_django(plain: Nginx) -> None:
    response = plain.get("/")
    assert (response.status, "<title>My site</title>" in response.text) == (200, True)
    check_headers(response)
    assert plain.get("/no-such-page").status == 404


def test_static_files_come_from_nginx(plain: Nginx, site: Site) -> None:
    address = static_file(plain.get("/"))
    site.stop()
    try:
        response = plain.get(address)
        compressed = plain.get(address, **{"Accept-Encoding": "gzip"}).headers
        unnamed = plain.get("/static/pages/site.css")
        missing = plain.get("/static/no-such-file.css")
        down = plain.get("/")
    finally:
        site.start()
    assert response.text == (site.path / "pages/static/pages/site.css").read_text()
    assert response.headers["Cache-Control"] == "max-age=31536000"
    assert unnamed.headers["Cache-Control"] == "max-age=60"
    assert compressed["Content-Encoding"] == "gzip"
    assert compressed["Vary"] == "Accept-Encoding"
    assert (missing.status, down.status) == (404, 503)
    assert "does not answer" in down.text
    for each in (response, unnamed, missing, down):
        check_headers(each)


@pytest.mark.parametrize(
    "path",
    [
        "/db.sqlite3",
        "/static/../db.sqlite3",
        "/static/%2e%2e/db.sqlite3",
        "/static../db.sqlite3",
        "/static/manifests/staticfiles.json",
        "/RPC2",
    ],
)
def test_nothing_else_is_served(plain: Nginx, path: str) -> None:
    response = plain.get(path)
    assert response.status in (400, 404)
    assert "SQLite" not in response.text


def test_a_visit_is_logged_once(plain: Nginx, site: Site) -> None:
    """By nginx, with the address that it saw."""
    plain.get("/no-such-page?visit", client="127.0.0.9", **{"X-Forwarded-For": "203.0.113.7"})
    site.get("/healthz?later")
    eventually(lambda: "/healthz?later" in site.logs())
    assert "/no-such-page?visit" not in site.logs()
    logs = "".join(log.read_text() for log in site.path.parent.glob("http.conf/*.access.log"))
    assert re.search(r'(?m)^127\.0\.0\.9 - - .*"GET /no-such-page\?visit ', logs)


@contextmanager
def killing(site: Site) -> Iterator[None]:
    """Meanwhile workers are killed, with time enough between two for nginx to ask again."""
    over = threading.Event()

    def kill() -> None:
        while not over.wait(0.4):
            with suppress(OSError, IndexError):  # between two lives
                os.kill(random.choice(site.every_worker()), signal.SIGKILL)

    with ThreadPoolExecutor(1) as pool:
        killer = pool.submit(kill)
        yield
        over.set()
        killer.result()
    eventually(site.answers)


def test_killed_workers_cost_no_visitor_a_page(plain: Nginx, site: Site) -> None:
    with load.visitors(plain.port) as visits, killing(site):
        time.sleep(6)
    assert visits.failures == {}


def test_killing_every_gunicorn_costs_no_visitor_a_page(plain: Nginx, site: Site) -> None:
    with load.visitors(plain.port) as visits:
        site.kill_every_gunicorn()
        eventually(lambda: len(site.masters()) == 2)
    assert visits.failures == {}


def test_what_changes_data_is_sent_once(plain: Nginx, site: Site) -> None:
    """A view counts: a POST whose worker was killed is said to have failed, and not sent again."""
    sent = range(300)
    with killing(site), ThreadPoolExecutor(8) as pool:
        statuses = [*pool.map(lambda n: plain.post(f"/count?{n}").status, sent)]
    counted = Counter((site.path / "var" / "counted").read_text().split())
    assert set(counted.values()) == {1}
    assert {str(n) for n in sent if statuses[n] == 200} <= set(counted)
    assert set(statuses) <= {200, 503}


def test_slow_visitors_do_not_hold_the_site_up(plain: Nginx) -> None:
    """50 that say nothing, stop in the middle of their headers, or of what they send."""

    def longest(number: int = 40) -> float:
        times = []
        for _ in range(number):
            begin = time.monotonic()
            assert plain.get("/").status == 200
            times.append(time.monotonic() - begin)
        return max(times)

    said = (
        b"",
        f"GET / HTTP/1.1\r\nHost: {ASCII_DOMAIN}\r\n".encode(),
        f"POST /admin/login/ HTTP/1.1\r\nHost: {ASCII_DOMAIN}\r\n"
        "Content-Length: 1000\r\n\r\nuser=".encode(),
    )
    before = longest()
    slow = []
    try:
        for number in range(50):
            slow.append(socket.create_connection(("127.0.0.1", plain.port)))
            slow[-1].sendall(said[number % len(said)])
        assert longest() < before + 0.5
    finally:
        for connection in slow:
            connection.close()


def test_too_large_an_upload_is_refused(plain: Nginx) -> None:
    response = plain.get("/admin/login/", **{"Content-Length": str(11 * 2**20)})
    assert response.status == 413
    check_headers(response)


def test_pages_and_files_by_tls_have_every_header(secure: Nginx) -> None:
    page = secure.get_by_tls("/")
    assert page.status == 200
    file = secure.get_by_tls(static_file(page))
    login = secure.get_by_tls("/admin/login/")
    for response in (page, file, login):
        check_headers(response)
        assert response.headers.get_all("Strict-Transport-Security") == ["max-age=31536000"]
        assert "unsafe" not in response.headers["Content-Security-Policy"]
    for cookie in login.headers.get_all("Set-Cookie", []):
        assert {"Secure", "SameSite=Lax"} <= set(cookie.split("; "))


def test_plain_http_leads_to_https(secure: Nginx) -> None:
    response = secure.get("/a?b=c")
    assert response.status == 301
    assert response.headers["Location"] == f"https://{ASCII_DOMAIN}/a?b=c"
    check_headers(response)
