"""A site with slow pages and slow visitors, and what it calls a hang."""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from support.project import Response, Site
from support.waiting import eventually

pytestmark = pytest.mark.slow

PAGES = """
import subprocess
import threading
import time

from django.contrib.sessions.models import Session
from django.http import HttpResponse, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt


def nap(request):
    time.sleep(float(request.GET["seconds"]))
    return HttpResponse("awake")


def hang(request):
    threading.Event().wait()


def stream(request):
    def parts():
        for _ in range(24):
            time.sleep(0.5)
            yield "part\\n"

    return StreamingHttpResponse(parts())


def blocked(request):
    def parts():
        yield "part\\n"
        threading.Event().wait()

    return StreamingHttpResponse(parts())


@csrf_exempt
def upload(request):
    return HttpResponse(str(len(request.body)))


def large(request):
    return HttpResponse(b"x" * 8_000_000)


def child(request):
    return HttpResponse(str(subprocess.run(["cat"], capture_output=True)))


def write(request):
    Session.objects.update_or_create(session_key="busy", defaults={"expire_date": timezone.now()})
    return HttpResponse("written")


def fail(request):
    raise ValueError("on purpose")


urlpatterns += [
    path(view.__name__, view)
    for view in (nap, hang, stream, blocked, upload, large, child, write, fail)
]
"""
# Longer than a busy machine lets a process wait for its turn.
HANG_SECONDS = 6
HANGS = "This request hangs, and its worker ends: GET {}\n"
# As deploy/gunicorn.conf.py says: masters, workers of each, threads of each
THREADS = 2 * max(1, (os.cpu_count() or 1) // 2) * 4


def make(make_site: Callable[..., Site], slug: str) -> Site:
    site = make_site(project_slug=slug)
    with (site.path / slug / "urls.py").open("a") as urls:
        urls.write(PAGES)
    settings = site.path / slug / "settings.py"
    settings.write_text(settings.read_text().replace('"UTC"', '"Asia/Tokyo"'))
    return site


@pytest.fixture(scope="module")
def site(make_site: Callable[..., Site]) -> Site:
    """A site as delivered, that lies in another time zone than this machine."""
    site = make(make_site, "busy")
    site.start()
    site.await_workers()
    return site


@pytest.fixture(scope="module")
def impatient(make_site: Callable[..., Site]) -> Site:
    """A site that calls a hang what is one after fewer seconds."""
    site = make(make_site, "impatient")
    config = site.path / "deploy" / "gunicorn.conf.py"
    delivered = config.read_text()
    config.write_text(delivered.replace("\ntimeout = 20\n", f"\ntimeout = {HANG_SECONDS}\n"))
    assert config.read_text() != delivered
    site.start()
    site.await_workers()
    return site


@pytest.fixture
def visitors() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(64) as pool:
        yield pool


def timed(site: Site, path: str) -> tuple[float, Response]:
    begin = time.monotonic()
    response = site.get(path, timeout=60)
    return time.monotonic() - begin, response


def connect(site: Site, *lines: str) -> socket.socket:
    """A visitor who has sent these lines, and an empty one."""
    connection = socket.create_connection(("127.0.0.1", site.port), 60)
    connection.sendall("\r\n".join((*lines, "Host: localhost", "", "")).encode())
    return connection


def test_a_quick_request_finds_the_idle_thread(site: Site, visitors: ThreadPoolExecutor) -> None:
    """All threads but one are busy: only its worker takes in connections."""
    slow = [visitors.submit(site.get, "/nap?seconds=12", timeout=60) for _ in range(THREADS - 1)]
    eventually(lambda: len(established(site.port)) == THREADS - 1)
    quick = [timed(site, f"/nap?seconds=0&{number}") for number in range(40)]
    assert not any(one.done() for one in slow), "the machine is too slow to tell"
    assert max(seconds for seconds, _ in quick) < 4
    assert {response.status for _, response in quick} == {200}
    assert {one.result().text for one in slow} == {"awake"}


def established(port: int) -> list[str]:
    """Connections that a process of the site has taken in, as proc(5) shows them."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [row[9] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "01"]


def test_silent_connections_hold_nobody_up(site: Site) -> None:
    """Browsers open some in advance."""
    address = ("127.0.0.1", site.port)
    silent = [socket.create_connection(address) for _ in range(50)]
    assert max(timed(site, "/nap?seconds=0")[0] for _ in range(20)) < 4
    for connection in silent:
        connection.close()


def test_nor_do_those_that_stay_silent(make_site: Callable[..., Site]) -> None:
    """Once the system has waited for their requests in vain, gunicorn gets them."""
    site = make(make_site, "silent")
    worker = site.path / "deploy" / "gunicorn_classes" / "worker.py"
    worker.write_text(worker.read_text().replace("SILENCE_SECONDS = 60", "SILENCE_SECONDS = 1"))
    site.start()
    site.await_workers()
    silent = [socket.create_connection(("127.0.0.1", site.port)) for _ in range(50)]
    ended = [connection.makefile("rb").read for connection in silent]
    with ThreadPoolExecutor(50) as pool:
        ends = [pool.submit(end) for end in ended]
        while not all(end.done() for end in ends):
            assert timed(site, "/nap?seconds=0")[0] < 4
    for connection in silent:
        connection.close()


def test_a_browser_cannot_keep_a_connection_to_a_busy_worker(site: Site) -> None:
    assert site.get("/").headers["Connection"] == "close"


def test_a_program_of_a_page_has_an_empty_input(site: Site) -> None:
    assert "returncode=0, stdout=b'', stderr=b''" in site.get("/child").text


def test_a_file_has_its_headers_before_it(site: Site) -> None:
    icon = re.search(r'href="(/static/pages/icon\.\w+\.svg)"', site.get("/").text)
    assert icon
    response = site.get(icon[1])
    assert response.text == (site.path / "pages/static/pages/icon.svg").read_text()
    assert int(response.headers["Content-Length"]) == len(response.text)


def test_the_head_of_a_page_is_asked_without_a_complaint(site: Site) -> None:
    style = re.search(r'href="(/static/pages/site\.\w+\.css)"', site.get("/").text)
    assert style
    for path in ("/", style[1]):
        with closing(connect(site, f"HEAD {path} HTTP/1.1")) as connection:
            head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert int(re.findall(rb"Content-Length: (\d+)", head)[0]) > 1000
        assert body == b""
    eventually(lambda: '"HEAD / HTTP/1.1" 200' in site.logs())
    assert "body bytes" not in site.logs()


def test_a_long_write_asks_visitors_to_come_again(site: Site, visitors: ThreadPoolExecutor) -> None:
    """Each gets an answer, and no worker ends; reading goes on."""
    before = set(site.every_worker())
    with closing(sqlite3.connect(site.path / "var" / "db.sqlite3")) as other:
        other.execute("BEGIN IMMEDIATE")
        answers = [visitors.submit(timed, site, "/write") for _ in range(THREADS - 1)]
        assert timed(site, "/healthz")[0] < 4
        for answer in answers:
            seconds, response = answer.result()
            assert (response.status, response.headers["Retry-After"]) == (503, "10")
            assert "<h1>The site is busy</h1>" in response.text
            assert seconds < 15
    assert site.get("/write").text == "written"
    assert set(site.every_worker()) == before


def test_logs_show_the_time_of_the_machine_and_its_zone(site: Site) -> None:
    assert site.get("/fail").status == 500
    zone = re.escape(time.strftime("%z"))
    moment = rf"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d {zone}"
    eventually(lambda: re.search(rf"(?m)^{moment} ERROR django.request: .*: /fail$", site.logs()))
    assert re.search(rf"(?m)^\[{moment}\] \[\d+\] \[INFO\] Booting worker", site.logs())
    eventually(lambda: re.search(rf":\d\d {zone}\] \"GET /fail ", site.logs()))
    log = (site.path / "var" / "log" / "supervisord.log").read_text()
    assert re.search(rf"(?m)^20[-\d]{{8}} [:\d]{{8}},\d\d\d {zone} INFO spawned: ", log)


def test_a_slow_upload_is_no_hang(impatient: Site) -> None:
    """Neither one that comes in small pieces, nor one that pauses."""
    before = set(impatient.every_worker())
    lines = "POST /upload HTTP/1.1", "Content-Length: 1000"
    with closing(connect(impatient, *lines)) as pieces, closing(connect(impatient, *lines)) as half:
        half.sendall(b"x" * 500)
        for _ in range(10):
            pieces.sendall(b"x" * 100)
            time.sleep((HANG_SECONDS + 2) / 10)
        half.sendall(b"x" * 500)
        for connection in (pieces, half):
            assert connection.makefile().read().endswith("\n1000")
    assert set(impatient.every_worker()) == before


def test_a_slow_reader_is_no_hang(impatient: Site) -> None:
    before = set(impatient.every_worker())
    with closing(connect(impatient, "GET /large HTTP/1.1")) as connection:
        end = time.monotonic() + HANG_SECONDS + 2
        received = 0
        while time.monotonic() < end:
            received += len(connection.recv(1000))
            time.sleep(0.1)
        while piece := connection.recv(100_000):
            received += len(piece)
    assert received > 8_000_000
    assert set(impatient.every_worker()) == before


def test_a_hung_request_is_answered_and_the_others_of_its_worker_end(
    impatient: Site, visitors: ThreadPoolExecutor
) -> None:
    """Streams that go on for twice as long as a hang are whole; every thread is busy."""
    hung = visitors.submit(impatient.get, "/hang", timeout=60)
    time.sleep(0.2)
    streams = [visitors.submit(impatient.get, "/stream", timeout=60) for _ in range(THREADS - 1)]
    assert hung.result().status == 503
    assert hung.result().text == "The site does not answer. Please try again in a moment."
    assert {stream.result().text for stream in streams} == {"part\n" * 24}
    assert HANGS.format("/hang") in impatient.logs()
    assert "threading.Event().wait()" in impatient.logs()  # where it hangs
    impatient.await_workers()


def test_streams_that_block_are_hangs(impatient: Site) -> None:
    """They take every thread; the site answers again by itself."""
    before = set(impatient.every_worker())
    blocked = [connect(impatient, "GET /blocked HTTP/1.1") for _ in range(THREADS)]
    eventually(lambda: not set(impatient.every_worker()) & before, 30)
    for connection in blocked:
        assert b"part\n" in connection.makefile("rb").read()
        connection.close()
    assert impatient.get("/healthz").status == 200
    assert impatient.logs().count(HANGS.format("/blocked")) == THREADS
    impatient.await_workers()


def test_a_stop_that_meets_a_worker_at_its_birth_is_not_lost(
    make_site: Callable[..., Site],
) -> None:
    """The signal comes between fork and the worker's own handlers: a master would wait 30 seconds."""
    site = make_site(project_slug="born")
    config = site.path / "deploy" / "gunicorn.conf.py"
    signal_at_birth = (
        "\ndelivered = post_fork\n\n"
        "def post_fork(server, worker):\n"
        "    if worker.age == 1:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "    delivered(server, worker)\n"
    )
    with config.open("a") as file:
        file.write(signal_at_birth)
    site.start()
    eventually(lambda: site.logs().count("Worker exiting") == 2)
    site.await_workers()
    begin = time.monotonic()
    site.supervisorctl("stop", "all", check=True)
    assert time.monotonic() - begin < 15


def test_a_supervisord_that_dies_early_leaves_no_orphan(make_site: Callable[..., Site]) -> None:
    """Its first gunicorn may not have asked yet for the signal that would end it."""
    site = make_site(project_slug="early")
    command = [str(site.path / "venv" / "bin" / "supervisord"), "-n"]
    for _ in range(10):
        with subprocess.Popen(command, cwd=site.path, stdout=subprocess.DEVNULL) as supervisord:
            eventually(lambda: len(site.processes()) > 1)
            supervisord.send_signal(signal.SIGKILL)
        eventually(lambda: site.processes() == [], 15)
