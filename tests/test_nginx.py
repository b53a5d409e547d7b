"""nginx as the template delivers it, in front of a real site: only ports and folders are the test's."""

import http.client
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import ENVIRONMENT, Project, Response, Site, eventually, free_port, require

DOMAIN = "www.été.example"
ASCII_DOMAIN = "www.xn--t-9fab.example"
MAIN = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    include /etc/nginx/mime.types;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/enabled.conf;
}}
"""
# What Mozilla's Observatory looks for in every answer.
HEADERS = {
    "Content-Security-Policy": "default-src 'self'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass
class Nginx:
    """A running nginx: its ports, and the certificate that the test trusts."""

    port: int
    tls_port: int
    certificate: Path

    def get(self, path: str = "/", client: str = "127.0.0.1", **headers: str) -> Response:
        """The answer by plain http to a visitor with this address."""
        return self._ask(self.port, None, path, client, headers)

    def get_by_tls(self, path: str = "/", client: str = "127.0.0.1", **headers: str) -> Response:
        context = ssl.create_default_context(cafile=str(self.certificate))
        return self._ask(self.tls_port, context, path, client, headers)

    @staticmethod
    def _ask(
        port: int,
        context: ssl.SSLContext | None,
        path: str,
        client: str,
        headers: dict[str, str],
    ) -> Response:
        connection = http.client.HTTPConnection(ASCII_DOMAIN, port)
        plain = socket.create_connection(("127.0.0.1", port), 10, (client, 0))
        connection.sock = (
            context.wrap_socket(plain, server_hostname=ASCII_DOMAIN) if context else plain
        )
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return Response(
                response.status, response.headers, response.read().decode(errors="replace")
            )
        finally:
            connection.close()


@pytest.fixture(scope="module")
def site(bake: Callable[..., Project], short_folder: Path) -> Iterator[Site]:
    """A running site in its install_dir, which is its own current release."""
    port, web_port = free_port(), free_port()
    path = short_folder / "nginx" / "site"
    project = bake(
        install_dir=str(path),
        domain_name=DOMAIN,
        bind=f"127.0.0.1:{port}",
        web_interface=f"127.0.0.1:{web_port}",
    )
    shutil.copytree(project.path, path)
    (path / "current").symlink_to(".")
    tools = f"{Path(sys.executable).parent}:{ENVIRONMENT['PATH']}"
    site = Site(path, port, web_port)
    site.run("./bootstrap.sh", env={**ENVIRONMENT, "PATH": tools})
    site.start()
    yield site
    site.stop()


@pytest.fixture(scope="module")
def certificate(site: Site) -> Path:
    return make_certificate(site.path.parent)


def make_certificate(folder: Path) -> Path:
    """A certificate of its own, where certbot would leave one."""
    live = folder / "live" / ASCII_DOMAIN
    live.mkdir(parents=True)
    options = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={ASCII_DOMAIN}"
    san = ("-addext", f"subjectAltName=DNS:{ASCII_DOMAIN}")
    files = ("-keyout", str(live / "privkey.pem"), "-out", str(live / "fullchain.pem"))
    command = [require("openssl"), *options.split(), *san, *files]
    subprocess.run(command, check=True, capture_output=True)
    return live / "fullchain.pem"


@contextmanager
def serving(site: Site, certificate: Path, name: str) -> Iterator[Nginx]:
    """Runs nginx with http.conf or https.conf; nothing of it but ports and folders is changed."""
    folder = site.path.parent / name
    folder.mkdir()
    nginx = Nginx(free_port(), free_port(), certificate)
    ours = site.path / "deploy" / "nginx"
    for part in (ours / name, ours / "site.conf"):
        text = part.read_text()
        text = re.sub(r"listen (\[::\]:|)80;", rf"listen 127.0.0.1:{nginx.port};", text)
        text = re.sub(r"listen (\[::\]:|)443 ", rf"listen 127.0.0.1:{nginx.tls_port} ", text)
        # The same address twice, once for each family: once is enough here.
        text = re.sub(r"(\s+listen [^;]+;)\1", r"\1", text)
        text = text.replace("/etc/letsencrypt/live", str(certificate.parents[1]))
        text = text.replace("/var/log/nginx", str(folder))
        text = text.replace(f"{site.path}/current/deploy/nginx/site.conf", f"{folder}/site.conf")
        (folder / part.name).write_text(text)
    (folder / name).rename(folder / "enabled.conf")
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder))
    command = [require("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    assert subprocess.check_output([*command, "-t", "-q"], stderr=subprocess.STDOUT) == b""
    with subprocess.Popen(command) as process:
        try:
            eventually(lambda: listens(nginx.port))
            yield nginx
        finally:
            process.terminate()


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


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


def test_the_log_of_gunicorn_names_the_visitor(plain: Nginx, site: Site) -> None:
    plain.get("/healthz?visit", client="127.0.0.9", **{"X-Forwarded-For": "203.0.113.7"})

    def line() -> str:
        return next((line for line in site.logs().splitlines() if "/healthz?visit" in line), "")

    eventually(line)
    assert "127.0.0.9" in line()
    assert "203.0.113.7" not in line()


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
