"""Mail: what the site sends, and what ADMINS are told of errors, of deaths and of copies."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, build_opener

import pytest
from support.commands import ENVIRONMENT
from support.project import Site
from support.smtp import Inbox, mail_server, silent_mail_server
from support.waiting import eventually

pytestmark = pytest.mark.slow

ADMINS = "Zoé <zoe@example.org>, ada@example.org"
GROUP = "gu-post"
MASTERS = {f"{GROUP}:master-1", f"{GROUP}:master-2"}
# An error, one in another place, a mail, and a page that has nothing to do with all that.
PAGES = """
from django.core.mail import send_mail
from django.http import HttpResponse


def fail(request):
    raise RuntimeError(f"No such thing: {request.GET}")


def fail_elsewhere(request):
    int("x")


def send(request):
    return HttpResponse(send_mail("Hello", "Bonjour Zoé", None, ["zoe@example.org"]))


urlpatterns += [path("fail", fail), path("elsewhere", fail_elsewhere), path("send", send)]
"""


@pytest.fixture(scope="module")
def made(make_site: Callable[..., Site]) -> Site:
    site = make_site(project_slug="post", domain_name="post.example.org", language="en")
    with (site.path / "post" / "urls.py").open("a") as urls:
        urls.write(PAGES)
    config = site.path / "deploy" / "supervisord.conf"
    # What dies is given up at once.
    config.write_text(
        config.read_text().replace("startsecs = 2", "startsecs = 2\nstartretries = 0")
    )
    return site


def write_env(site: Site, url: str) -> None:
    env = site.path / ".env"
    lines = [
        line for line in env.read_text().splitlines() if not re.match("EMAIL_URL|ADMINS", line)
    ]
    env.write_text("\n".join([*lines, f"EMAIL_URL={url}", f"ADMINS={ADMINS}", ""]))


@pytest.fixture
def stopped(made: Site) -> Iterator[Site]:
    """The site, which does not run and has told nothing yet."""
    yield made
    made.stop()
    for path in (made.path / "var" / "mails").glob("*"):
        path.unlink()
    (made.path / "var" / "alerts.json").unlink(missing_ok=True)


def start(site: Site, url: str) -> None:
    write_env(site, url)
    site.start()
    eventually(lambda: len(site.masters()) == 2 and site.alerts()[0] == "RUNNING")
    # A master that has not loaded the code yet dies with the one that is broken on purpose.
    site.await_workers()


def log(site: Site) -> str:
    return (site.path / "var" / "log" / "alerts.log").read_text()


# Mails of the site


def test_what_the_site_sends_arrives(stopped: Site) -> None:
    with mail_server() as inbox:
        start(stopped, inbox.url)
        assert stopped.get("/send").text == "1"
        [mail] = inbox.mails
    assert (mail["Subject"], mail.get_content()) == ("Hello", "Bonjour Zoé\n")
    assert inbox.recipients == [["zoe@example.org"]]
    assert re.search(
        r"^DEFAULT_FROM_EMAIL=(.+)$", (stopped.path / ".env").read_text(), re.MULTILINE
    )


def test_a_laptop_prints_its_mails_to_the_log(stopped: Site) -> None:
    start(stopped, "consolemail://")
    assert stopped.get("/send").text == "1"
    eventually(lambda: "Subject: Hello" in stopped.logs())


def test_a_silent_mail_server_ends_no_worker(stopped: Site) -> None:
    """The page that waits for it fails before it hangs; others are served meanwhile."""
    with silent_mail_server() as url, ThreadPoolExecutor() as visitors:
        start(stopped, url)
        workers = sorted(stopped.every_worker())
        began = time.monotonic()
        waiting = [visitors.submit(stopped.get, "/send", timeout=30) for _ in range(3)]
        while not all(each.done() for each in waiting):
            assert stopped.get("/healthz", timeout=5).status == 200
            time.sleep(0.2)
        assert [each.result().status for each in waiting] == [500] * 3
        assert 9 < time.monotonic() - began < 15
        assert sorted(stopped.every_worker()) == workers


def test_a_forgotten_password_is_replaced_by_mail(stopped: Site) -> None:
    """In the browser's way: the form of the admin, the link of the mail, a new login."""
    opener = build_opener(HTTPCookieProcessor())

    def submit(address: str, **fields: str) -> str:
        """What the page says after its form was sent, where it leads to."""
        with opener.open(address) as page:
            token = re.search('name="csrfmiddlewaretoken" value="(.+?)"', page.read().decode())
            assert token
            data = urlencode({"csrfmiddlewaretoken": token[1], **fields}).encode()
            with opener.open(page.url, data) as answer:
                return str(answer.read().decode())

    with mail_server() as inbox:
        start(stopped, inbox.url)
        account = ("--username", "zoe", "--email", "zoe@example.org")
        env = {**ENVIRONMENT, "DJANGO_SUPERUSER_PASSWORD": "forgotten-1843"}
        stopped.python("manage.py", "createsuperuser", "--no-input", *account, env=env)
        address = f"http://127.0.0.1:{stopped.port}/admin/"
        submit(f"{address}password_reset/", email="zoe@example.org")
        [mail] = inbox.mails
        assert inbox.recipients == [["zoe@example.org"]]
        link = re.search(rf"http://127\.0\.0\.1:{stopped.port}/\S+", mail.get_content())
        assert link
        new = "remembered-1852"
        submit(link[0], new_password1=new, new_password2=new)
        admin = submit(f"{address}login/?next=/admin/", username="zoe", password=new)
        assert "/admin/logout/" in admin


# Errors


def errors(inbox: Inbox) -> list[EmailMessage]:
    return [mail for mail in inbox.mails if "ERROR" in str(mail["Subject"])]


def test_an_error_is_told_to_admins(stopped: Site) -> None:
    """Once an hour; the next mail says how often it came meanwhile. Another error is another."""
    with mail_server() as inbox:
        start(stopped, inbox.url)
        assert stopped.get("/fail?secret=1").status == 500
        [mail] = eventually(lambda: errors(inbox))
        assert mail["Subject"] == "[post.example.org] ERROR Internal Server Error: /fail"
        assert inbox.recipients == [["zoe@example.org", "ada@example.org"]]
        text = mail.get_content()
        assert 'raise RuntimeError(f"No such thing: {request.GET}")' in text
        assert "SECRET_KEY" not in text

        assert {stopped.get("/fail").status for _ in range(20)} == {500}
        assert stopped.get("/elsewhere").status == 500
        eventually(lambda: len(errors(inbox)) == 2)
        assert errors(inbox)[1]["Subject"].endswith("/elsewhere")
        time.sleep(6)  # it looks every five seconds
        assert len(errors(inbox)) == 2

        an_hour_passes(stopped)
        mail = eventually(lambda: errors(inbox)[2:])[0]
        assert mail["Subject"].endswith("/fail")
        assert mail.get_content().startswith("The same has come again since, 19 times.\n")
    assert [*waiting(stopped)] == []


def an_hour_passes(site: Site) -> None:
    """For the marks of what was sent."""
    for mark in (site.path / "var" / "mails").glob(".*.sent"):
        os.utime(mark, (0, time.time() - 3601))


def waiting(site: Site) -> Iterator[Path]:
    return (site.path / "var" / "mails").glob("[!.]*")


def test_no_page_waits_for_the_mail_of_its_error(stopped: Site) -> None:
    """The server says nothing; then there is none; then one takes it. Retried each minute."""
    with silent_mail_server() as url:
        start(stopped, url)
        began = time.monotonic()
        assert stopped.get("/fail").status == 500
        assert time.monotonic() - began < 2
        eventually(lambda: "timed out" in log(stopped), 20)
    assert len([*waiting(stopped)]) == 1
    with mail_server() as inbox:
        write_env(stopped, inbox.url)
        # The next try is due in a minute: another program is told to send at once.
        stopped.python("deploy/server", "mail_sender")
        assert inbox.subjects() == ["[post.example.org] ERROR Internal Server Error: /fail"]
    write_env(stopped, inbox.url)
    assert stopped.get("/elsewhere").status == 500
    done = stopped.python("deploy/server", "mail_sender", check=False)
    folder = f"{stopped.path}/var/mails"
    said = f"The mails in {folder} have to wait, for EMAIL_URL of {stopped.path}/.env leads to no server"
    assert done.returncode == 1
    assert done.stderr.startswith(said)
    assert done.stderr.endswith("Connection refused).\n")


def test_old_mails_are_dropped_and_that_is_said(stopped: Site) -> None:
    write_env(stopped, "smtp://127.0.0.1:9")
    folder = stopped.path / "var" / "mails"
    folder.mkdir(exist_ok=True)
    for number in range(102):
        mail = folder / f"mail-{number}"
        mail.write_text(f"Number {number}\n")
        os.utime(mail, (0, time.time() - (90_000 if number == 0 else 500 - number)))
    done = stopped.python("deploy/server", "mail_sender", check=False)
    dropped = re.findall(r"Dropped, for it could not be sent: (.*)", done.stderr)
    assert dropped == ["Number 0", "Number 1"]
    assert len([*waiting(stopped)]) == 100


def test_its_tests_mail_nothing(stopped: Site) -> None:
    test = stopped.path / "pages" / "tests_mail.py"
    test.write_text(
        "import logging\nfrom django.test import SimpleTestCase\n\n\n"
        "class Tests(SimpleTestCase):\n"
        "    def test_error(self):\n        logging.error('In a test')\n"
    )
    try:
        stopped.python("manage.py", "test", "pages.tests_mail")
    finally:
        test.unlink()
    assert [*waiting(stopped)] == []
    stopped.python("manage.py", "shell", "--no-imports", "-c", "import logging; logging.error('x')")
    assert len([*waiting(stopped)]) == 1


# Deaths


@contextmanager
def broken(site: Site) -> Iterator[None]:
    """None of the site's own code can be imported, its settings least of all."""
    files = [*site.path.glob("post/*.py"), *site.path.glob("pages/*.py")]
    texts = {file: file.read_text() for file in files}
    for file in files:
        file.write_text("raise SystemExit('Broken: é\\x1b[1m')\n")
    try:
        yield
    finally:
        for file, text in texts.items():
            file.write_text(text)


def test_a_death_is_told_and_the_return(stopped: Site) -> None:
    """With the site's code broken, and once, whatever restarts meanwhile."""
    with mail_server() as inbox:
        start(stopped, inbox.url)
        stopped.supervisorctl("restart", "all", check=True)
        stopped.supervisorctl("rolling_restart", "all", check=True)
        with broken(stopped):
            stopped.supervisorctl("restart", f"{GROUP}:*")
            eventually(lambda: len(inbox.mails) > 0 and inbox.programs("dead") == MASTERS, 40)
            [mail] = [mail for mail in inbox.mails if "master-1" in mail["Subject"]]
            text = mail.get_content()
            assert re.search(
                rf"{GROUP}:master-1 is dead since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d \+0000: "
                r"Exited too quickly .*; next try at \d\d:\d\d\n",
                text,
            )
            assert f"The last lines of {stopped.path}/var/log/{GROUP}-1.log:\n" in text
            assert "Broken: é\ufffd[1m" in text
            assert len(text.splitlines()) <= 26 * text.count("is dead since")
            told = len(inbox.mails)
            # It tells no death twice, also after a restart of its own.
            stopped.supervisorctl("restart", "alerts", check=True)
            time.sleep(7)
            assert len(inbox.mails) == told
        stopped.supervisorctl("start", f"{GROUP}:*", check=True)
        eventually(lambda: inbox.programs("runs again") == MASTERS, 40)
        # A death within the hour of the last is not told, nor is the return from it.
        told = len(inbox.mails)
        with broken(stopped):
            stopped.supervisorctl("restart", f"{GROUP}:master-1")
            eventually(lambda: stopped.states()[f"{GROUP}:master-1"][0] == "FATAL", 20)
            time.sleep(7)
        stopped.supervisorctl("start", f"{GROUP}:master-1", check=True)
        stopped.supervisorctl("stop", f"{GROUP}:master-2", check=True)
        time.sleep(17)
        assert inbox.subjects()[told:] == []


def test_a_death_on_a_full_disk_is_told(stopped: Site) -> None:
    """Nothing can be written into var/mails."""
    folder = stopped.path / "var" / "mails"
    for path in folder.glob("*"):
        path.unlink()
    if folder.exists():
        folder.rmdir()
    folder.symlink_to(folder.with_name("nowhere"))
    try:
        with mail_server() as inbox:
            start(stopped, inbox.url)
            with broken(stopped):
                stopped.supervisorctl("restart", f"{GROUP}:master-1")
                eventually(lambda: inbox.programs("dead") == {f"{GROUP}:master-1"}, 30)
                time.sleep(6)
                assert len(inbox.mails) == 1
    finally:
        folder.unlink()


def test_it_needs_little_memory_and_ends_with_supervisord(stopped: Site) -> None:
    start(stopped, "consolemail://")
    _, pid = stopped.alerts()
    memory = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss: +(\d+) kB", memory, re.MULTILINE)
    assert found
    assert int(found[1]) < 20_000
    supervisord = stopped.pid
    assert supervisord
    os.kill(supervisord, signal.SIGKILL)
    eventually(lambda: stopped.processes() == [], 20)
