"""supervisord's web interface obeys its own pages, and no page of another site.

Chromium remembers the login and visits a foreign page; plain HTTP says what browsers say.
"""

import base64
import configparser
import html
import http.client
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, BrowserContext, Page
from playwright.sync_api import Response as PlaywrightResponse
from support.project import Response, Site
from support.waiting import eventually

pytestmark = pytest.mark.slow

STOP_ALL = "/index.html?action=stopall"
STOP_ALL_BY_RPC = (
    '<?xml version="1.0"?><methodCall><methodName>supervisor.stopAllProcesses</methodName>'
    "</methodCall>"
)
REFUSAL = (
    "Refused: this request does not come from the pages of the web interface.\n"
    "Open the interface yourself: type its IP address and port into the browser.\n"
)
# What a page of another site holds to make the visitor's browser stop the programs. A form of
# text/plain sends NAME=VALUE as it stands: here the XML above, which has a = in it.
NAME, VALUE = map(html.escape, STOP_ALL_BY_RPC.split("=", 1))
ATTACKS = {
    "address": f'<script>location = "INTERFACE{STOP_ALL}"</script>',
    "window": f'<script>open("INTERFACE{STOP_ALL}")</script>',
    "image": f'<img src="INTERFACE{STOP_ALL}">',
    "frame": f'<iframe src="INTERFACE{STOP_ALL}"></iframe>',
    "form": '<form method="post" enctype="text/plain" action="INTERFACE/RPC2">'
    f'<input name="{NAME}" value="{VALUE}"></form>'
    "<script>document.forms[0].submit()</script>",
}
NO_REFERRER = '<meta name="referrer" content="no-referrer">'
# Another site, and another program of this machine, which browsers take for the same site.
HOSTS = ("foreign.example", "127.0.0.1")


def password(site: Site) -> str:
    parser = configparser.RawConfigParser()
    parser.read(site.path / "deploy" / "web_interface.conf")
    return parser["inet_http_server"]["password"]


def login(site: Site) -> str:
    """What a browser sends for one who has logged in."""
    return "Basic " + base64.b64encode(f"admin:{password(site)}".encode()).decode()


def ask(
    site: Site, path: str = "/", method: str = "GET", body: str | None = None, **headers: str
) -> Response:
    """What the web interface answers to one who has logged in; _ in a header's name is -."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", site.web_port, timeout=10)
    try:
        connection.request(method, path, body, {"Authorization": login(site), **sent})
        response = connection.getresponse()
        return Response(response.status, response.headers, response.read().decode())
    finally:
        connection.close()


def running(site: Site) -> Site:
    """The site, with both masters running, whatever the test before did to it."""
    if not site.answers():
        if not (site.pid and site.alive(site.pid)):
            site.start()
        site.supervisorctl("start", "all")
    eventually(lambda: len(site.masters()) == 2)
    return site


@pytest.fixture(scope="module")
def made(make_site: Callable[..., Site]) -> Site:
    return make_site()


@pytest.fixture
def site(made: Site) -> Site:
    return running(made)


@pytest.fixture(scope="module")
def made_without_protection(make_site: Callable[..., Site]) -> Site:
    site = make_site()
    config = configparser.RawConfigParser()
    path = site.path / "deploy" / "supervisord.conf"
    config.read(path)
    assert config.remove_section("rpcinterface:same_origin")
    with path.open("w") as file:
        config.write(file)
    return site


@pytest.fixture
def unprotected(made_without_protection: Site) -> Site:
    return running(made_without_protection)


class ForeignSite(ThreadingHTTPServer):
    """A site whose only page is `page`."""

    page = ""


@pytest.fixture
def foreign_site() -> Iterator[ForeignSite]:
    class Answer(BaseHTTPRequestHandler):
        server: ForeignSite

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(self.server.page.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ForeignSite(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever).start()
    yield server
    server.shutdown()
    server.server_close()


@dataclass
class Visitor:
    """Somebody whose browser remembers the login of the web interface."""

    browser: BrowserContext
    foreign_site: ForeignSite
    site: Site
    # The second name is no trustworthy origin: Chromium sends it no Sec-Fetch-Site.
    host: str = "127.0.0.1"

    @property
    def address(self) -> str:
        return f"http://{self.host}:{self.site.web_port}"

    def open(self) -> Page:
        """Types the address of the web interface, with the login."""
        page = self.browser.new_page()
        page.goto(self.address.replace("//", f"//admin:{password(self.site)}@"))
        return page

    def fall_for(self, attack: str, host: str, head: str = "") -> PlaywrightResponse:
        """Opens the foreign page; gives the response that its attack gets."""
        self.foreign_site.page = head + attack.replace("INTERFACE", self.address)
        page = self.browser.new_page()
        with self.browser.expect_event("response", self.is_of_interface) as answered:
            page.goto(f"http://{host}:{self.foreign_site.server_port}/")
        response: PlaywrightResponse = answered.value
        return response

    def is_of_interface(self, response: PlaywrightResponse) -> bool:
        return response.url.startswith(self.address)


@pytest.fixture
def make_visitor(browser: Browser, foreign_site: ForeignSite) -> Iterator[Callable[..., Visitor]]:
    context = browser.new_context()
    context.set_default_timeout(10_000)

    def make(site: Site, host: str = "127.0.0.1") -> Visitor:
        visitor = Visitor(context, foreign_site, site, host)
        assert visitor.open().title() == "Supervisor Status"
        return visitor

    yield make
    context.close()


@pytest.mark.parametrize(
    ("attack", "host"),
    [
        ("address", "foreign.example"),
        ("window", "foreign.example"),
        ("form", "foreign.example"),
        # Chromium sends the login with a part of a page only where both are one site.
        ("image", "127.0.0.1"),
        ("frame", "127.0.0.1"),
    ],
)
def test_without_protection_a_foreign_page_stops_the_site(
    unprotected: Site, make_visitor: Callable[..., Visitor], attack: str, host: str
) -> None:
    make_visitor(unprotected).fall_for(ATTACKS[attack], host)
    eventually(lambda: unprotected.masters() == {})


@pytest.mark.parametrize("interface", ["127.0.0.1", "intranet"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_foreign_page_is_refused(
    site: Site, make_visitor: Callable[..., Visitor], attack: str, interface: str
) -> None:
    masters = site.masters()
    visitor = make_visitor(site, interface)
    for host in HOSTS:
        for head in ("", NO_REFERRER):
            assert visitor.fall_for(ATTACKS[attack], host, head).status == 403
    assert site.masters() == masters


@pytest.mark.parametrize("interface", ["127.0.0.1", "intranet"])
def test_the_buttons_work(site: Site, make_visitor: Callable[..., Visitor], interface: str) -> None:
    masters = site.masters()
    page = make_visitor(site, interface).open()
    row = page.get_by_role("row").filter(has_text="gu-my_site:master-1")
    row.get_by_role("link", name="Restart", exact=True).click()
    page.get_by_text("Process gu-my_site:master-1 restarted").wait_for()
    eventually(lambda: len(site.masters()) == 2)
    assert {name for name, pid in site.masters().items() if pid == masters[name]} == {
        "gu-my_site:master-2"
    }
    page.reload()
    with page.expect_popup() as log:
        page.get_by_role("link", name="gu-my_site:master-1").click()
    assert "Booting worker" in log.value.inner_text("body")


def test_a_link_of_a_foreign_page_says_what_to_do(
    site: Site, make_visitor: Callable[..., Visitor]
) -> None:
    visitor = make_visitor(site)
    page = visitor.browser.new_page()
    visitor.foreign_site.page = f'<a href="{visitor.address}/">supervisord</a>'
    page.goto(f"http://foreign.example:{visitor.foreign_site.server_port}/")
    page.get_by_role("link").click()
    assert page.inner_text("body") == REFUSAL
    page.goto(visitor.address)
    assert page.title() == "Supervisor Status"


def test_no_page_shows_the_interface_in_a_frame(
    site: Site, make_visitor: Callable[..., Visitor]
) -> None:
    """A request without Sec-Fetch-Site and Referer may be an address that was typed: it passes."""
    visitor = make_visitor(site, "intranet")
    frame = '<iframe src="INTERFACE/"></iframe>'
    response = visitor.fall_for(frame, "intranet", NO_REFERRER)
    assert (response.status, response.headers["x-frame-options"]) == (200, "DENY")
    frames = visitor.browser.pages[-1].frames
    eventually(lambda: frames[-1].url.startswith("chrome-error:"))


def test_a_name_that_another_site_gave_this_machine_is_refused(
    site: Site, make_visitor: Callable[..., Visitor]
) -> None:
    page = make_visitor(site).browser.new_page()
    answer = page.goto(f"http://admin:{password(site)}@foreign.example:{site.web_port}/")
    assert answer
    assert (answer.status, answer.text()) == (403, REFUSAL)


# Paths and headers of requests of somebody who has logged in. Host is 127.0.0.1:PORT where nothing
# else is said; {port} stands for that port.
REFUSED: list[tuple[str, dict[str, str]]] = [
    ("/", {"Sec_Fetch_Site": "cross-site"}),
    ("/", {"Sec_Fetch_Site": "same-site"}),
    ("/", {"Sec_Fetch_Site": "anything"}),
    ("/stylesheets/supervisor.css", {"Sec_Fetch_Site": "cross-site"}),
    ("/logtail/gu-my_site:master-1", {"Sec_Fetch_Site": "cross-site"}),
    ("/mainlogtail", {"Sec_Fetch_Site": "cross-site"}),
    ("/tail.html?processname=gu-my_site:master-1", {"Referer": "http://foreign.example/"}),
    ("/", {"Origin": "null"}),
    ("/", {"Origin": "http://127.0.0.1"}),
    ("/", {"Origin": "http://127.0.0.1:{port}0"}),
    ("/", {"Referer": "http://foreign.example/http://127.0.0.1:{port}/"}),
    ("/", {"Host": "foreign.example:{port}"}),
    (
        "/",
        {"Host": "127.0.0.1.foreign.example", "Referer": "http://127.0.0.1.foreign.example/"},
    ),
    # Typed, from a bookmark or by a link in a mail.
    (STOP_ALL, {"Sec_Fetch_Site": "none"}),
    (STOP_ALL, {}),
    ("/?%61ction=stopall", {}),
    ("/index.html%3Faction=stopall", {}),
    ("/index.html?message=x&action=stop&processname=gu-my_site:master-1", {}),
]
ALLOWED: list[tuple[str, dict[str, str]]] = [
    ("/", {}),
    ("/", {"Sec_Fetch_Site": "none"}),
    ("/", {"Sec_Fetch_Site": "same-origin"}),
    ("/", {"Host": "localhost:8001"}),  # through an SSH tunnel
    ("/", {"Host": "[::1]:8001"}),
    ("/", {"Host": "192.168.1.20"}),
    ("/index.html?message=Done", {"Sec_Fetch_Site": "none"}),
    ("/stylesheets/supervisor.css", {"Sec_Fetch_Site": "same-origin"}),
    ("/tail.html?processname=gu-my_site:master-1", {}),
    ("/?action=refresh", {"Sec_Fetch_Site": "same-origin"}),
    ("/?action=refresh", {"Referer": "http://127.0.0.1:{port}/"}),
    ("/?action=refresh", {"Origin": "http://127.0.0.1:{port}"}),
]


def ask_all(site: Site, requests: list[tuple[str, dict[str, str]]]) -> Iterator[Response]:
    for path, headers in requests:
        port = str(site.web_port)
        sent = {name: value.replace("{port}", port) for name, value in headers.items()}
        yield ask(site, path, **sent)


def test_requests_that_are_refused(site: Site) -> None:
    masters = site.masters()
    for request, response in zip(REFUSED, ask_all(site, REFUSED), strict=True):
        assert (response.status, response.text) == (403, REFUSAL), request
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert site.masters() == masters


def test_requests_that_pass(site: Site) -> None:
    for request, response in zip(ALLOWED, ask_all(site, ALLOWED), strict=True):
        assert response.status == (301 if "action" in request[0] else 200), request
        assert response.headers["X-Frame-Options"] == "DENY"


def test_a_login_is_wanted_as_before(site: Site) -> None:
    assert site.get("/", port=site.web_port).status == 401
    own_page = f"http://127.0.0.1:{site.web_port}/"
    assert site.get(STOP_ALL, port=site.web_port, Referer=own_page).status == 401


def test_failed_logins_are_logged_with_their_address(site: Site) -> None:
    """One line each; none for what a browser asks before it knows the password."""

    def lines() -> list[str]:
        log = (site.path / "var" / "log" / "supervisord.log").read_text()
        return re.findall("WARN Failed login to the web interface from (.*)", log)

    before = len(lines())
    ask(site)
    site.get("/", port=site.web_port)
    for user in ("admin:guessed", "root\n\x1b[31m:"):
        guess = "Basic " + base64.b64encode(user.encode()).decode()
        assert ask(site, Authorization=guess).status == 401
    assert lines()[before:] == ["127.0.0.1"] * 2


def test_remote_calls_of_a_browser_are_refused_and_of_a_program_pass(site: Site) -> None:
    call = "<methodCall><methodName>supervisor.getState</methodName></methodCall>"
    assert ask(site, "/RPC2", "POST", call, Origin="http://foreign.example").status == 403
    assert ask(site, "/RPC2", "POST", call, Origin="null").status == 403
    assert "RUNNING" in ask(site, "/RPC2", "POST", call).text


def test_supervisorctl_works_over_http_and_over_the_socket(site: Site) -> None:
    over_http = ("-s", f"http://127.0.0.1:{site.web_port}", "-u", "admin", "-p", password(site))
    for options in ((), over_http):
        assert site.supervisorctl(*options, "status").stdout.count("RUNNING") == 3
        tail = site.supervisorctl(*options, "tail", "gu-my_site:master-1")
        assert "GET /healthz" in tail.stdout
        restart = site.supervisorctl(*options, "restart", "gu-my_site:master-1")
        assert restart.stdout.endswith("gu-my_site:master-1: started\n")


def test_the_rest_of_a_refused_request_is_no_other_request(site: Site) -> None:
    """The body of a foreign form could be a request itself, with headers that it chooses."""
    masters = site.masters()
    call = "<methodCall><methodName>supervisor.shutdown</methodName></methodCall>"
    hidden = (
        f"POST /RPC2 HTTP/1.1\r\nAuthorization: {login(site)}\r\n"
        f"Content-Length: {len(call)}\r\n\r\n{call}"
    )
    for rest in (hidden, "x" * 1_000_000 + hidden):
        with socket.create_connection(("127.0.0.1", site.web_port), timeout=10) as connection:
            connection.sendall(
                f"POST /RPC2 HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://foreign.example\r\n"
                f"Content-Length: {len(rest)}\r\n\r\n{rest[:1000]}".encode()
            )
            time.sleep(0.2)
            with suppress(ConnectionError):
                connection.sendall(rest[1000:].encode())
            answer = b""
            with suppress(ConnectionError):
                while part := connection.recv(4096):
                    answer += part
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert answer.count(b"HTTP/1.1") == 1
    assert site.masters() == masters


def test_it_is_there_before_the_first_request(site: Site) -> None:
    """While supervisord starts, and begins anew, a foreign page that never gives up gets 403 alone."""
    statuses = set()
    ended = threading.Event()

    def attack() -> None:
        while not ended.is_set():
            with suppress(OSError, http.client.HTTPException):
                statuses.add(ask(site, STOP_ALL, Sec_Fetch_Site="cross-site").status)

    thread = threading.Thread(target=attack)
    thread.start()
    try:
        site.supervisorctl("reload")
        eventually(lambda: len(site.masters()) == 2, 50)
        site.stop()
        site.start()
        eventually(lambda: len(site.masters()) == 2)
    finally:
        ended.set()
        thread.join()
    assert statuses == {403}
