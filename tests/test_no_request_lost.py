"""Restarts, stops and crashes, while visitors ask for pages all the time."""

import base64
import configparser
import os
import random
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from load import CLIENTS, visitors
from support.files import moved
from support.pages import SLOW_PAGE, answer_while, home_page_that, slow_request
from support.project import Site
from support.waiting import eventually

pytestmark = pytest.mark.slow

# Of each of the 16 visitors, in seconds: 300 requests a second leave a processor to what restarts.
REST = 0.05
# Pages that the template has not: one never ends.
PAGES = """
import re

from django.http import HttpResponse


def spin(request):
    re.match("(a+)+$", "a" * 64 + "b")


def address(request):
    return HttpResponse(request.META["REMOTE_ADDR"])


urlpatterns += [
    path(view.__name__, view) for view in (spin, address)
]
"""


@pytest.fixture(scope="module")
def made(make_site: Callable[..., Site]) -> Site:
    site = make_site(project_slug="lost")
    with (site.path / "lost" / "urls.py").open("a") as urls:
        urls.write(SLOW_PAGE + PAGES)
    return site


@pytest.fixture
def site(made: Site) -> Site:
    """The site, with both masters running, whatever the test before did to it."""
    if made.pid and made.alive(made.pid):
        made.supervisorctl("start", "all")
    else:
        made.start()
    eventually(lambda: len(made.masters()) == 2, 30)
    return made


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def press_restart_all(site: Site) -> None:
    """What a browser does with the button of supervisord's web page."""
    parser = configparser.RawConfigParser()
    parser.read(site.path / "deploy" / "web_interface.conf")
    login = f"admin:{parser['inet_http_server']['password']}"
    basic = f"Basic {base64.b64encode(login.encode()).decode()}"
    # A browser names the page that the button is on.
    headers = {"Authorization": basic, "Referer": f"http://127.0.0.1:{site.web_port}/"}
    pressed = site.get("/index.html?action=restartall", site.web_port, 60, **headers)
    assert pressed.status == 301, pressed.text


RESTARTS: dict[str, Callable[[Site], object]] = {
    "restart all": lambda site: site.supervisorctl("restart", "all", check=True),
    "restart gu-lost:*": lambda site: site.supervisorctl("restart", "gu-lost:*", check=True),
    "Restart All on the web page": press_restart_all,
    "rolling_restart": lambda site: site.supervisorctl("rolling_restart", "gu-lost", check=True),
}


@pytest.mark.parametrize("restart", RESTARTS)
def test_a_restart_loses_nothing(site: Site, restart: str) -> None:
    old = site.masters()
    with visitors(site.port, rest=REST) as visits:
        RESTARTS[restart](site)
        eventually(lambda: len(site.masters()) == 2)
    assert visits.failures == {}
    assert visits.pause < 10
    assert not set(old.values()) & set(site.masters().values())


def test_killing_a_master_loses_only_what_it_had_in_hand(site: Site) -> None:
    killed = site.masters()["gu-lost:master-1"]
    with visitors(site.port, rest=REST) as visits:
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: len(site.masters()) == 2 and killed not in site.masters().values())
    assert set(visits.failures) <= {"lost", "cut"}
    assert sum(visits.failures.values()) <= CLIENTS


def test_killing_every_gunicorn_refuses_nobody(site: Site) -> None:
    with visitors(site.port, rest=REST) as visits:
        site.kill_every_gunicorn()
        eventually(lambda: len(site.masters()) == 2)
    assert set(visits.failures) <= {"lost", "cut"}
    assert sum(visits.failures.values()) <= CLIENTS
    assert visits.pause < 10


def test_killing_workers_at_random(site: Site, request: pytest.FixtureRequest) -> None:
    """1,000 in two minutes where the run is --thorough, otherwise 50 in six seconds."""
    kills = 1000 if request.config.getoption("--thorough") else 50
    masters = site.masters()
    begin = time.monotonic()
    with visitors(site.port) as visits:
        for number in range(kills):
            workers = [pid for master in masters.values() for pid in site.workers(master)]
            if workers:
                with suppress(ProcessLookupError):
                    os.kill(random.choice(workers), signal.SIGKILL)
            time.sleep(max(0, begin + (number + 1) * 0.12 - time.monotonic()))
    lost = visits.failures.get("lost", 0)
    print(f"{kills} kills: {lost / visits.requests:.2%} of the requests lost")
    assert set(visits.failures) <= {"lost", "cut"}
    assert sum(visits.failures.values()) <= kills * CLIENTS
    assert visits.results["200"] > 0
    assert site.masters() == masters
    eventually(site.answers)


def test_a_killed_supervisord_frees_the_port_while_requests_run(site: Site) -> None:
    """A new one serves at once; the request in progress gets its answer; no process is left."""
    old = site.processes()
    with slow_request(site) as slow:
        assert site.pid
        os.kill(site.pid, signal.SIGKILL)
        eventually(lambda: refused(site), 5)
        begin = time.monotonic()
        site.run("venv/bin/supervisord")
        eventually(site.answers)
        assert time.monotonic() - begin < 5
    assert slow.result() == "slow\n"
    eventually(lambda: not any(map(site.alive, old)), 20)


@pytest.mark.parametrize("command", [("stop", "all"), ("shutdown",)])
def test_a_stop_lets_a_request_end(site: Site, command: tuple[str, ...]) -> None:
    assert answer_while(site, lambda: site.supervisorctl(*command, check=True)) == "slow\n"
    left = {site.pid} if command == ("stop", "all") else set()
    eventually(lambda: set(site.processes()) == left, 10)


def test_a_stopped_site_refuses_until_it_is_started(site: Site) -> None:
    site.supervisorctl("stop", "gu-lost:*", check=True)
    eventually(lambda: refused(site), 20)
    site.supervisorctl("start", "gu-lost:*", check=True)
    assert site.get("/healthz").status == 200


def test_rolling_restart_keeps_the_old_code_where_the_new_fails(site: Site) -> None:
    """Also where it fails only after supervisord has called it RUNNING."""
    masters = site.masters()
    urls = site.path / "lost" / "wsgi.py"
    good = urls.read_text()
    try:
        with visitors(site.port, rest=REST) as visits:
            urls.write_text("import time\ntime.sleep(4)\nraise SystemExit('broken')\n")
            done = site.supervisorctl("rolling_restart", "gu-lost")
            urls.write_text(good)
    finally:
        urls.write_text(good)
    assert done.returncode == 1
    assert re.fullmatch(
        r"gu-lost:master-1 did not come up: \S+/gu-lost-1\.log tells why\."
        r" The rest was left as it is\.\n",
        done.stderr,
    )
    assert visits.failures == {}
    assert site.masters()["gu-lost:master-2"] == masters["gu-lost:master-2"]
    site.supervisorctl("rolling_restart", "gu-lost", check=True)


@contextmanager
def restarted_with_home_page_that(site: Site, line: str) -> Iterator[None]:
    """Both masters begin anew with this line in the home page's view."""
    try:
        with home_page_that(site, line):
            site.supervisorctl("rolling_restart", "gu-lost", check=True)
            yield
    finally:
        site.supervisorctl("rolling_restart", "gu-lost", check=True)


@pytest.mark.parametrize("mistake", ("", "; 1 / 0"))
def test_each_master_loads_the_home_page_before_visitors_come(site: Site, mistake: str) -> None:
    """It keeps no connection to the database, which its workers could not share."""
    line = "print('asked of', os.getpid(), ContentType.objects.exists())"
    with restarted_with_home_page_that(site, line + mistake):
        for master in site.masters().values():
            assert f"asked of {master} True\n" in site.logs()
            files = [file.readlink() for file in Path(f"/proc/{master}/fd").iterdir()]
            assert not [file for file in files if "sqlite" in file.name]
        assert site.get("/healthz").status == 200
        assert site.get("/").status == (500 if mistake else 200)


@pytest.fixture
def impatient(site: Site) -> Iterator[Site]:
    """The site, with a timeout of three seconds."""
    config = site.path / "deploy" / "gunicorn.conf.py"
    delivered = config.read_text()
    config.write_text(delivered.replace("\ntimeout = 20\n", "\ntimeout = 3\n"))
    site.supervisorctl("rolling_restart", "gu-lost", check=True)
    yield site
    config.write_text(delivered)
    site.supervisorctl("rolling_restart", "gu-lost", check=True)


def test_a_home_page_that_hangs_does_not_take_the_others_with_it(impatient: Site) -> None:
    with restarted_with_home_page_that(impatient, "import time; time.sleep(1000)"):
        assert impatient.get("/healthz").status == 200
        assert "TimeoutError: The home page hangs.\n" in impatient.logs()


def test_masters_start_where_no_page_can_be_made(site: Site) -> None:
    """Not even the one that tells of an error: both name a file of which nothing is known."""
    with moved(site.path / "var" / "static"):
        site.supervisorctl("rolling_restart", "gu-lost", check=True)
        assert site.get("/healthz").status == 200
        assert "Missing staticfiles manifest entry" in site.logs()
    site.supervisorctl("rolling_restart", "gu-lost", check=True)


def test_a_worker_that_computes_for_ever_is_replaced(impatient: Site) -> None:
    """A regular expression lets no other thread of its process run, not even one that watches."""
    masters = impatient.masters()
    assert failure(lambda: impatient.get("/spin", timeout=60))
    eventually(impatient.answers)
    assert impatient.masters() == masters


def test_the_visitor_behind_the_proxy_is_known(site: Site) -> None:
    """The address that the proxy has seen, which comes last: what the visitor sent may be a lie.
    The proxy logs its visits itself."""
    forwarded = {"X-Forwarded-For": "198.51.100.1, 203.0.113.7"}
    assert site.get("/address?forwarded", site.port, 10, **forwarded).text == "203.0.113.7"
    assert site.get("/address?direct").text == "127.0.0.1"
    eventually(lambda: '"GET /address?direct HTTP/1.1" 200' in site.logs())
    assert "/address?forwarded" not in site.logs()


def test_a_visitor_cannot_spoil_the_log(site: Site) -> None:
    """Neither by a quote nor by a control character; the line keeps the combined format."""
    sent = {"User-Agent": 'a "robot" \x9b2J é', "Referer": "https://www.example.com/"}
    length = len(site.get("/address?spoilt", site.port, 10, **sent).text)
    logged = (
        rf"(?m)^127\.0\.0\.1 - - \[\d\d/\w{{3}}/\d{{4}}:[\d:]{{8}} [+-]\d{{4}}\]"
        rf' "GET /address\?spoilt HTTP/1\.1" 200 {length} "https://www\.example\.com/"'
        r' "a \\"robot\\" \\u009b2J \\u00e9"$'
    )
    eventually(lambda: re.search(logged, site.logs()))


def test_another_machine_cannot_say_who_it_is(site: Site) -> None:
    """127.0.0.2 plays the other machine: only 127.0.0.1 is the proxy."""
    address = ("127.0.0.1", site.port)
    with socket.create_connection(address, 10, source_address=("127.0.0.2", 0)) as connection:
        connection.sendall(
            b"GET /address HTTP/1.0\r\nHost: localhost\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n"
        )
        response = connection.makefile().read()
    assert response.endswith("\n127.0.0.2")


def refused(site: Site) -> bool:
    try:
        socket.create_connection(("127.0.0.1", site.port)).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # it came while the socket was being closed
        return False
    return False


def failure(ask: Callable[[], object]) -> str:
    """What went wrong when asking; empty if nothing did."""
    try:
        ask()
    except OSError as error:
        return repr(error)
    return ""
