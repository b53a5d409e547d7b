"""Tasks: none is lost, whatever ends or restarts while they wait and while they are done."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.commands import ENVIRONMENT, require
from support.lesson import TROUBLES, lesson_of
from support.ports import free_port, listens
from support.project import Site
from support.smtp import Inbox, mail_server, silent_mail_server
from support.tasks import Tasks, add_task
from support.waiting import eventually

pytestmark = pytest.mark.slow

# Seconds between two tasks of beat
EACH = 5
# Seconds, where the settings say 900, 20, 300 and 330; and a look each 10 seconds instead of 100
SHORT = {
    '"visibility_timeout": 900': '"visibility_timeout": 20, "unacked_restore_throttle": 1',
    "SOFT_SHUTDOWN_TIMEOUT = 20": "SOFT_SHUTDOWN_TIMEOUT = 2",
    "SOFT_TIME_LIMIT = 300": "SOFT_TIME_LIMIT = 12",
    "TASK_TIME_LIMIT = 330": "TASK_TIME_LIMIT = 14",
    # And tasks, after which a process of the pool makes room for a new one
    "MAX_TASKS_PER_CHILD = 1_000": "MAX_TASKS_PER_CHILD = 100",
    # And a time at night
    "crontab(hour=3, minute=47)": str(EACH),
}
MORE_TASKS = """

@shared_task
def hang():
    while True:
        time.sleep(0.1)


@shared_task
def hang_on():
    while True:
        try:
            time.sleep(10)
        except BaseException:
            pass


@shared_task
def fail_once():
    if not (settings.VAR / "failed").exists():
        (settings.VAR / "failed").touch()
        raise ConnectionError("Only now")
    write(7)


@shared_task
def fail_while_the_broker_is_away():
    if not (settings.VAR / "slept").exists():
        (settings.VAR / "slept").touch()
        time.sleep(2)
        raise ConnectionError("The broker is away, too")
    write(9)


@shared_task
def fill_memory():
    if not (settings.VAR / "filled").exists():
        (settings.VAR / "filled").touch()
        os.kill(os.getpid(), 9)
    write(8)
"""
PAGES = """
from django.core.mail import send_mail
from django.db import transaction
from django.http import HttpResponse
from pages import tasks


def queue(request):
    with transaction.atomic():
        tasks.write.delay_on_commit(1)
        if "undo" in request.GET:
            transaction.set_rollback(True)
    return HttpResponse("queued")


def mail(request):
    send_mail("Bonjour à tous", "Ça va ?", None, ["zoe@example.org"])
    return HttpResponse("sent")


urlpatterns += [path(view.__name__, view) for view in (queue, mail)]
"""


@pytest.fixture(scope="module")
def site(make_site: Callable[..., Site]) -> Site:
    site = make_site(project_slug="busy_bee", tasks="celery")
    settings = site.path / "busy_bee" / "settings.py"
    text = settings.read_text()
    for old, new in SHORT.items():
        assert old in text
        text = text.replace(old, new)
    settings.write_text(text)
    add_task(site.path)
    with (site.path / "pages" / "tasks.py").open("a") as tasks:
        tasks.write(MORE_TASKS.replace("os.", "__import__('os')."))
    with (site.path / "busy_bee" / "urls.py").open("a") as urls:
        urls.write(PAGES)
    Tasks(site).make_table()
    site.start()
    return site


@pytest.fixture
def tasks(site: Site) -> Tasks:
    """With all of its programs, and nothing left to do."""
    tasks = Tasks(site)
    eventually(lambda: {*tasks.runs()} == {"worker", "beat", "redis"}, 60)
    eventually(tasks.none_is_left, 60)
    tasks.sql("DELETE FROM done")
    return tasks


def log(site: Site, program: str) -> str:
    return (site.path / "var" / "log" / f"{program}.log").read_text()


def trouble(site: Site, title: str) -> tuple[str, str]:
    """What the lesson says of one: its sign, and the commands of its remedy."""
    section = lesson_of(site)[TROUBLES].section(title)
    return section.block("text").strip(), section.block("sh")


# What ends or restarts


def restart_all(tasks: Tasks) -> None:
    tasks.site.supervisorctl("restart", "all", check=True)


def rolling_restart(tasks: Tasks) -> None:
    before = tasks.runs()
    tasks.site.supervisorctl("rolling_restart", "all", check=True)
    after = tasks.runs()
    assert {name for name in before if after[name] != before[name]} == {"worker", "beat"}


def kill_a_process_of_the_pool(tasks: Tasks) -> None:
    os.kill(tasks.site.workers(tasks.runs()["worker"])[0], signal.SIGKILL)


def kill_the_worker(tasks: Tasks) -> None:
    os.kill(tasks.runs()["worker"], signal.SIGKILL)


def kill_all_of_the_worker(tasks: Tasks) -> None:
    worker = tasks.runs()["worker"]
    for pid in [worker, *tasks.site.workers(worker)]:
        os.kill(pid, signal.SIGKILL)


def kill_supervisord(tasks: Tasks) -> None:
    """What it has started ends with it."""
    site = tasks.site
    assert site.pid
    os.kill(site.pid, signal.SIGKILL)
    eventually(lambda: not site.processes(), 20)
    site.start()


def restart_redis(tasks: Tasks) -> None:
    tasks.site.supervisorctl("restart", "redis", check=True)


def stop_redis_for_half_a_minute(tasks: Tasks) -> None:
    tasks.site.supervisorctl("stop", "redis", check=True)
    time.sleep(30)
    tasks.site.supervisorctl("start", "redis", check=True)


def kill_redis(tasks: Tasks) -> None:
    os.kill(tasks.runs()["redis"], signal.SIGKILL)


EVENTS = (
    restart_all,
    rolling_restart,
    kill_a_process_of_the_pool,
    kill_the_worker,
    kill_all_of_the_worker,
    kill_supervisord,
    restart_redis,
    stop_redis_for_half_a_minute,
    kill_redis,
)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_no_task_is_lost(tasks: Tasks, event: Callable[[Tasks], None]) -> None:
    before = log(tasks.site, "worker")
    with tasks.thousand(event.__name__):
        time.sleep(1)
        event(tasks)
    assert "Timed out waiting for UP" not in log(tasks.site, "worker").removeprefix(before)


# What a task meets


def test_what_the_worker_was_just_given_as_redis_died_is_done(site: Site, tasks: Tasks) -> None:
    worker = tasks.runs()["worker"]
    os.kill(worker, signal.SIGSTOP)
    site.get("/queue")
    # Redis has moved it, and the worker has not noted it.
    kill_redis(tasks)
    os.kill(worker, signal.SIGCONT)
    eventually(lambda: tasks.done() == [1], 20)
    assert tasks.runs()["worker"] == worker


def test_one_that_hangs_is_ended_and_its_place_is_said(site: Site, tasks: Tasks) -> None:
    tasks.shell("from pages.tasks import hang, hang_on; hang.delay(); hang_on.delay()")
    eventually(tasks.none_is_left, 40)
    said = log(site, "worker")
    (traceback,) = re.findall(r"(?s)Traceback.*?pages/tasks.py.*?SoftTimeLimitExceeded", said)[:1]
    assert "in hang\n    time.sleep(0.1)" in traceback
    assert "Hard time limit (14s) exceeded for pages.tasks.hang_on" in said


@pytest.mark.parametrize(("task", "number"), [("fail_once", 7), ("fill_memory", 8)])
def test_what_fails_for_a_moment_is_done(tasks: Tasks, task: str, number: int) -> None:
    tasks.shell(f"from pages.tasks import {task}; {task}.delay()")
    eventually(lambda: tasks.done() == [number], 20)


def test_what_cannot_be_queued_again_goes_back(site: Site, tasks: Tasks) -> None:
    """A try that fails while the broker is away, too; Celery by itself drops such a task."""
    tasks.shell("from pages.tasks import fail_while_the_broker_is_away as f; f.delay()")
    eventually((site.path / "var" / "slept").exists, 20)
    redis = tasks.runs()["redis"]
    os.kill(redis, signal.SIGSTOP)
    time.sleep(6)
    os.kill(redis, signal.SIGCONT)
    eventually(lambda: tasks.done() == [9], 60)


def test_a_page_queues_once_it_has_saved(site: Site, tasks: Tasks) -> None:
    assert site.get("/queue?undo").status == 200
    assert site.get("/queue").status == 200
    eventually(lambda: tasks.done() == [1], 20)


def test_a_mail_server_that_is_silent_keeps_no_page_waiting(site: Site, tasks: Tasks) -> None:
    env = site.path / ".env"
    text = env.read_text()
    try:
        with silent_mail_server() as url, mail_server() as inbox:
            for place in (url, inbox.url):
                env.write_text(text.replace("EMAIL_URL=consolemail://", f"EMAIL_URL={place}"))
                site.supervisorctl("rolling_restart", "all", check=True)
                start = time.monotonic()
                assert site.get("/mail").text == "sent"
                assert time.monotonic() - start < 2
                if place == url:
                    eventually(lambda: "Retry in" in log(site, "worker"), 30)
            eventually(lambda: len(inbox.mails) == 2, 60)
            assert {each["Subject"] for each in inbox.mails} == {"Bonjour à tous"}
            assert inbox.mails[0].get_content() == "Ça va ?\n"
    finally:
        env.write_text(text)
        site.supervisorctl("rolling_restart", "all", check=True)


def test_without_its_broker_the_site_goes_on(site: Site, tasks: Tasks) -> None:
    """Stopped, and then one that no longer answers."""
    pid = tasks.runs()["redis"]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        os.kill(pid, number)
        if number == signal.SIGKILL:
            site.supervisorctl("stop", "redis")
        for path in ("/queue", "/mail", "/queue", "/mail"):
            start = time.monotonic()
            assert site.get(path).status == 200
            taken = time.monotonic() - start
        assert taken < 2
        assert (site.get("/queuez").status, site.get("/healthz").status) == (503, 200)
        done = site.python("manage.py", "queue", check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("CommandError: The broker does not answer: ")
    sign, remedy = trouble(site, "The broker does not answer")
    assert sign in done.stderr
    said = site.logs()
    assert "pages.tasks.write could not be queued, with (1,) and {}." in said
    assert "A mail could not be queued" in said
    assert "Bonjour" in said
    done = site.run("sh", "-ec", remedy)
    assert "redis: started" in done.stdout
    eventually(lambda: site.get("/queuez").status == 200, 20)


def test_a_worker_that_is_given_up_is_told_and_so_is_its_queue(site: Site, tasks: Tasks) -> None:
    """By status and by mail; then it does what waits."""
    sign, remedy = trouble(site, "Tasks wait and are not done")
    look, start = remedy.split("venv/bin/supervisorctl start")
    files = [site.path / name for name in ("busy_bee/beat.py", "busy_bee/celery.py", ".env")]
    texts = [file.read_text() for file in files]
    beat, celery, env = files

    def told(inbox: Inbox) -> bool:
        # After a server that took nothing, the next try may be due in a minute: this is one at once.
        site.python("deploy/server", "mail_sender", check=False)
        return "worker:worker" in inbox.programs("dead")

    try:
        with mail_server() as inbox:
            beat.write_text(texts[0].replace("PATIENCE = 600", "PATIENCE = 3"))
            env.write_text(texts[2].replace("=consolemail://", f"={inbox.url}"))
            site.supervisorctl("restart", "beat", check=True)
            celery.write_text("raise SystemExit('Not today')\n")
            site.supervisorctl("restart", "worker")
            eventually(lambda: site.states()["worker:worker"][0] == "FATAL", 60)
            celery.write_text(texts[1])
            tasks.queue(3)
            eventually(lambda: sign in log(site, "beat"), 60)
            assert re.search(rf"ERROR busy_bee.beat: \d+ {sign}", log(site, "beat"))
            said = site.run("sh", "-c", look).stdout
            assert re.search(r"^worker +FATAL ", said)
            assert said.endswith("Not today\n")
            eventually(lambda: told(inbox), 20)
            [mail] = [mail for mail in inbox.mails if "worker:worker" in mail["Subject"]]
            assert "Not today" in mail.get_content()
        assert (
            "worker: started"
            in site.run("sh", "-ec", f"venv/bin/supervisorctl start{start}").stdout
        )
        eventually(lambda: sorted(tasks.done()) == [0, 1, 2], 20)
    finally:
        for file, text in zip(files, texts, strict=True):
            file.write_text(text)
        site.supervisorctl("start", "worker")
        site.supervisorctl("restart", "beat", check=True)


def test_strangers_are_not_told(site: Site, tasks: Tasks) -> None:
    assert site.get("/queuez").text == "waiting 0\noldest 0\ntaken 0\n"
    ask = (
        "from django.test import Client;"
        " print(Client(SERVER_NAME='localhost').get('/queuez', REMOTE_ADDR='192.0.2.1').status_code)"
    )
    assert tasks.shell(ask) == "404\n"
    assert site.python("manage.py", "queue").stdout == "0 waiting, the oldest for 0 s; 0 taken\n"
    for path in ("redis.sock", "redis"):
        assert (site.path / "var" / path).stat().st_mode & 0o077 == 0


def test_a_broker_elsewhere_must_show_a_certificate_of_its_name(
    site: Site, tasks: Tasks, folder: Path
) -> None:
    """Celery by itself takes any."""
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    new = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key", "-out", "cert")
    subprocess.run([require("openssl"), *new, *names], cwd=folder, check=True, capture_output=True)
    port = free_port()
    tls = ("--tls-port", str(port), "--tls-cert-file", "cert", "--tls-key-file", "key")
    options = ("--port", "0", "--bind", "127.0.0.1", "--tls-auth-clients", "no", "--save", "")
    ca = ("--tls-ca-cert-file", "cert")
    with subprocess.Popen(
        [require("redis-server"), *options, *tls, *ca], cwd=folder, stdout=subprocess.DEVNULL
    ) as redis:
        try:
            eventually(lambda: listens(port))
            for host, query, right in (
                ("localhost", "", False),
                ("localhost", f"?ssl_ca_certs={folder}/cert", True),
                ("127.0.0.1", f"?ssl_ca_certs={folder}/cert", False),
            ):
                url = {"BROKER_URL": f"rediss://{host}:{port}/3{query}"}
                queue = "from pages.tasks import write; write.delay(1)"
                for command in (("shell", "--no-imports", "-c", queue), ("queue",)):
                    done = site.python("manage.py", *command, check=False, env=ENVIRONMENT | url)
                    assert (done.returncode == 0) == right, done.stderr
                    assert right or "CERTIFICATE_VERIFY_FAILED" in done.stderr
            assert tasks.none_is_left()
        finally:
            redis.terminate()


def test_a_broker_that_cannot_be_is_one_sentence(site: Site) -> None:
    """It shows no password; a page would lose its mail."""
    for url in ("redis://:pa/55@redis.example.org/0", "http://localhost", "redis://a:1/b"):
        env = ENVIRONMENT | {"BROKER_URL": url}
        done = site.python("manage.py", "check", check=False, env=env)
        said = f"{site.path}/.env: write BROKER_URL as redis://:PASSWORD@HOST:6379/0, or as "
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert done.stderr.startswith(said)


def test_of_two_beats_one_has_its_turn(site: Site, tasks: Tasks) -> None:
    """The other one follows when it is gone, also by kill -9."""

    def turn() -> str:
        return site.run(require("redis-cli"), "-s", "var/redis.sock", "GET", "beat").stdout

    def done() -> int:
        return log(site, "worker").count("Task pages.tasks.clear_sessions[")

    eventually(lambda: turn() != "\n", 40)
    before = turn()
    other = [str(site.path / "venv/bin/celery"), "--app", "busy_bee", "beat", "--schedule"]
    schedule = str(site.path / "var" / "other_beat")
    with subprocess.Popen([*other, schedule], cwd=site.path, stderr=subprocess.DEVNULL) as beat:
        try:
            start, number = time.monotonic(), done()
            time.sleep(4 * EACH)
            # One is received, and one succeeds.
            assert done() - number <= 2 * (time.monotonic() - start) / EACH + 2
            assert done() > number
            assert turn() == before
            os.kill(tasks.runs()["beat"], signal.SIGKILL)
            eventually(lambda: turn() not in (before, "None\n"), 60)
            number = done()
            eventually(lambda: done() > number, 20)
        finally:
            beat.kill()
