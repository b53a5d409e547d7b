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
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

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


# Pages that the template has not. One counts what is sent to it, and takes its time; the other
# says what Django takes for the site's own address.
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


def address(request):
    return HttpResponse(request.build_absolute_uri("/"))


urlpatterns += [path("count", count), path("address", address)]
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
    # As whoever has a larger disk moves it; and as release.sh publishes static files.
    shutil.move(path / "var", path.parent / "data")
    (path / "var").symlink_to("../data")
    for file in path.glob("var/static/**/*.gz"):
        file.chmod(0o644)
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


@pytest.mark.usefixtures("as_root")
def test_nginx_follows_a_link_only_to_what_is_its_owners(plain: Nginx, site: Site) -> None:
    """As another site's files: nginx may read them, and the user who places the link may not."""
    static, other = site.path / "var" / "static", site.path.parent / "other"
    other.mkdir()
    (other / "env.txt").write_text("SECRET_KEY=")
    (static / "own.txt").write_text("own")
    links = {
        "secret.txt": other / "env.txt",
        "folder": other,
        "own.css.gz": other / "env.txt",
        "link.txt": Path("own.txt"),
    }
    for name, target in links.items():
        (static / name).symlink_to(target)
    (static / "own.css").write_text("own")
    for name in ("own.txt", "own.css", *links):
        os.chown(static / name, 1, 1, follow_symlinks=False)
    compressed = plain.get("/static/own.css", **{"Accept-Encoding": "gzip"})
    assert "SECRET" not in compressed.text
    assert plain.get("/static/secret.txt").status == 403
    assert plain.get("/static/folder/env.txt").status == 403
    assert plain.get("/static/link.txt").text == "own"

    page = static_file(plain.get("/"))
    static.rename(other / "static")
    static.symlink_to(other / "static")
    assert plain.get(page).status == 200
    static.unlink()
    static.symlink_to(other)
    os.chown(static, 1, 1, follow_symlinks=False)
    assert plain.get("/static/env.txt").status == 403
    static.unlink()
    (other / "static").rename(static)


def answer_to(connection: socket.socket, *lines: str) -> bytes:
    """All that comes back for this request."""
    with connection, suppress(ConnectionError):
        connection.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode())
        return b"".join(iter(partial(connection.recv, 4096), b""))
    return b""


NOT_THIS_SITE = [
    ("GET / HTTP/1.1", "Host: evil.example"),
    ("GET / HTTP/1.1", f"Host: {ASCII_DOMAIN}.evil.example"),
    ("GET / HTTP/1.1", f"Host: evil-{ASCII_DOMAIN}"),
    ("GET / HTTP/1.1", "Host: 127.0.0.1"),
    ("GET / HTTP/1.1", "Host: [::1]:80"),
    ("GET / HTTP/1.1", "Host: "),
    ("GET / HTTP/1.0",),
    ("GET http://evil.example/ HTTP/1.1", f"Host: {ASCII_DOMAIN}"),
]


def test_a_request_for_no_name_of_ours_is_closed_without_a_word(plain: Nginx, site: Site) -> None:
    for lines in NOT_THIS_SITE:
        assert answer_to(plain.connect(), *lines) == b"", lines
    assert "HTTP_HOST" not in site.logs()
    # What asks gunicorn itself is told, and costs the log one line.
    assert site.get("/", Host="evil.example").status == 400
    eventually(lambda: "evil.example" in site.logs())
    (line,) = [line for line in site.logs().splitlines() if "evil.example" in line]
    assert " WARNING django.security.DisallowedHost: Invalid HTTP_HOST header" in line
    assert "Traceback" not in site.logs()


# What proxies say of a visitor, in all their dialects
CLAIMS: dict[str, Any] = {
    "Forwarded": "for=192.0.2.1;host=evil.example;proto=https",
    "Front-End-Https": "on",
    "X-Forwarded-For": "192.0.2.1",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "443",
    "X-Forwarded-Protocol": "ssl",
    "X-Forwarded-Scheme": "https",
    "X-Forwarded-Ssl": "on",
    "X-Url-Scheme": "https",
}


def test_what_a_visitor_claims_to_be_is_ignored(plain: Nginx, site: Site) -> None:
    claims = {**CLAIMS, "X-Forwarded-Proto": "https"}
    assert plain.get("/address", **claims).text == f"http://{ASCII_DOMAIN}/"
    # Of a program on this machine, gunicorn believes what nginx would say, and nothing else.
    assert site.get("/address", **CLAIMS).text == f"http://127.0.0.1:{site.port}/"


def log_in(nginx: Nginx, origin: str, client: str, name: str = "zoe") -> Response:
    """Sends the admin's login form with a wrong password, as a browser at this address does."""
    scheme, _, host = origin.partition("://")
    get = nginx.get_by_tls if scheme == "https" else nginx.get
    page = get("/admin/login/", client, Host=host)
    cookie = page.headers["Set-Cookie"].partition(";")[0]
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert token
    form = urlencode({"csrfmiddlewaretoken": token[1], "username": name, "password": "x"})
    headers = {"Host": host, "Origin": origin, "Referer": f"{origin}/", "Cookie": cookie}
    return nginx.post("/admin/login/", form, client, scheme == "https", **headers)


def test_a_port_in_the_address_breaks_no_login(plain: Nginx) -> None:
    """As where a router leads its port 8080 to nginx's 80."""
    for host in (ASCII_DOMAIN, f"{ASCII_DOMAIN}:8080"):
        assert log_in(plain, f"http://{host}", "127.0.0.21").status == 200
        assert plain.get("/address", Host=host).text == f"http://{host}/"


def test_a_failed_login_is_logged_in_one_line_with_its_address(plain: Nginx, site: Site) -> None:
    name = "zoe\n127.0.0.1 \x1b[31m\u202e"
    log_in(plain, f"http://{ASCII_DOMAIN}", "127.0.0.22", name)
    line = r"WARNING accounts\.apps: Failed login from 127\.0\.0\.22 as \"zoe[ -~]*\"\n"
    eventually(lambda: re.search(line, site.logs()))
    assert site.logs().count("127.0.0.22") == 1


def test_who_tries_passwords_is_slowed_down(plain: Nginx) -> None:
    """But nobody else, and nothing else."""
    attempts = (
        *("/admin/login/", "/admin//l%6Fgin/?next=/", "/accounts/login"),
        "/admin/password_reset/",
    )
    statuses = [plain.post(attempts[n % 4], client="127.0.0.23").status for n in range(30)]
    assert set(statuses[:21]) <= {403, 404}
    assert statuses.count(429) >= 8
    response = plain.post("/admin/login/", client="127.0.0.23")
    assert response.status == 429
    assert "Please try again in a minute." in response.text
    check_headers(response)
    assert plain.post("/admin/login/", client="127.0.0.24").status == 403
    assert plain.get("/admin/login/", client="127.0.0.23").status == 200
    assert {plain.post(f"/count?x{n}", client="127.0.0.23").status for n in range(25)} == {200}


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
    with load.visitors(plain.port, host=ASCII_DOMAIN) as visits, killing(site):
        time.sleep(6)
    assert visits.failures == {}


def test_killing_every_gunicorn_costs_no_visitor_a_page(plain: Nginx, site: Site) -> None:
    with load.visitors(plain.port, host=ASCII_DOMAIN) as visits:
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


def test_by_tls_too_and_plain_http_leads_to_the_sites_own_name(secure: Nginx) -> None:
    for lines in NOT_THIS_SITE:
        assert answer_to(secure.connect(), *lines) == b"", lines
        if lines[-1] != "Host: ":  # TLS has named the site: it answers 400
            assert answer_to(secure.connect_by_tls(), *lines) == b"", lines
    for lines in (
        ("GET /a?b=c HTTP/1.1", f"Host: {ASCII_DOMAIN.upper()}:8080"),
        (f"GET http://{ASCII_DOMAIN}/a?b=c HTTP/1.1", "Host: evil.example"),
    ):
        said = answer_to(secure.connect(), *lines, "Connection: close").decode()
        assert f"\r\nLocation: https://{ASCII_DOMAIN}/a?b=c\r\n" in said


def test_nor_does_one_by_tls(secure: Nginx) -> None:
    for host in (ASCII_DOMAIN, f"{ASCII_DOMAIN}:8443"):
        assert log_in(secure, f"https://{host}", "127.0.0.21").status == 200
