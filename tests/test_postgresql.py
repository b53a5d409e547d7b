"""A site on PostgreSQL that runs: what its workers hold, and what visitors get when the server fails."""

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from load import CLIENTS, visitors
from support.commands import ENVIRONMENT, USER
from support.namespaces import namespace
from support.postgresql import Cluster
from support.project import Site
from support.waiting import eventually

# Seconds, where deploy/gunicorn.conf.py says 5 and 15: longer than a busy machine is late.
LOCK, QUERY = 1, 3
# Seconds between two requests of each visitor
REST = 0.05
PAGES = """
import time

from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.db import connection
from django.http import HttpResponse
from django.utils import timezone


def ask(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def backend(request):
    time.sleep(0.05)
    return HttpResponse(f"{os.getpid()} {ask('SELECT pg_backend_pid()')}")


def read(request):
    return HttpResponse(str(ContentType.objects.count()))


def write(request):
    text = request.GET.get("text", "")
    Session.objects.update_or_create(
        session_key="busy",
        defaults={"expire_date": timezone.now(), "session_data": text * 1_000_000},
    )
    return HttpResponse("written")


def nap(request):
    return HttpResponse(str(ask(f"SELECT pg_sleep({float(request.GET['seconds'])})")))


urlpatterns += [path(view.__name__, view) for view in (backend, read, write, nap)]
"""
MIGRATION = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("sessions", "0001_initial")]
    operations = [migrations.RunSQL("ALTER TABLE django_session ADD note text")]
"""
HELD = "BEGIN; SELECT count(*) FROM django_session; SELECT pg_sleep({seconds})"


@pytest.fixture(scope="module")
def cluster(new_cluster: Callable[[], Cluster]) -> Cluster:
    """One that these tests may stop."""
    return new_cluster()


@pytest.fixture(scope="module")
def site(make_site: Callable[..., Site], cluster: Cluster) -> Site:
    site = make_site(cluster=cluster, project_slug="held")
    urls = site.path / "held" / "urls.py"
    urls.write_text(urls.read_text().replace('"""\n', '"""\n\nimport os', 1) + PAGES)
    config = site.path / "deploy" / "gunicorn.conf.py"
    delivered = config.read_text()
    config.write_text(
        delivered.replace("lock_timeout=5000", f"lock_timeout={LOCK}000").replace(
            "statement_timeout=15000", f"statement_timeout={QUERY}000"
        )
    )
    assert config.read_text() != delivered
    site.start()
    site.await_workers()
    return site


def ask_at_once(site: Site, path: str, number: int = 64) -> list[str]:
    """The answers to so many visitors, each of whom is in nobody's way."""
    with ThreadPoolExecutor(32) as pool:
        return [one.text for one in pool.map(lambda _: site.get(path, timeout=60), range(number))]


def is_asked_to_come_again(site: Site, path: str) -> bool:
    response = site.get(path, timeout=60)
    return (
        response.status == 503
        and response.headers["Retry-After"] == "10"
        and "The site cannot reach its data just now" in response.text
    )


@contextmanager
def held(cluster: Cluster, statement: str) -> Iterator[None]:
    """Somebody else's transaction, which ends with the block."""
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(cluster.sql, statement, "held")
        asleep = (
            "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = 'held'"
        )
        pid = eventually(lambda: cluster.sql(asleep))
        try:
            yield
        finally:
            cluster.sql(f"SELECT pg_terminate_backend({pid})")
            assert other.exception()


def test_it_serves_and_its_own_tests_pass(site: Site) -> None:
    assert site.get("/healthz").text == "ok held\n"
    done = site.python("manage.py", "test")
    assert re.search(r"Ran [1-9]\d* tests", done.stderr)


def test_no_two_workers_share_a_connection(site: Site, cluster: Cluster) -> None:
    """A master has none, though it has loaded the home page, and asked the database for it."""
    pairs = {tuple(map(int, text.split())) for text in ask_at_once(site, "/backend")}
    workers, backends = {one for one, _ in pairs}, [other for _, other in pairs]
    assert workers <= set(site.every_worker())
    assert len(workers) > 1
    assert len(backends) == len(set(backends)), pairs
    live = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'held'"
    assert len(backends) <= int(cluster.sql(live)) <= 4 * len(site.every_worker())


def test_the_master_closes_what_the_home_page_has_opened(site: Site, cluster: Cluster) -> None:
    views = site.path / "pages" / "views.py"
    delivered = views.read_text()
    line = "    print('asked of', os.getpid(), ContentType.objects.exists())\n    context = {"
    views.write_text(delivered.replace("    context = {", line, 1))
    try:
        site.supervisorctl("rolling_restart", "gu-held", check=True)
    finally:
        views.write_text(delivered)
    for master in site.masters().values():
        assert f"asked of {master} True\n" in site.logs()
        assert not [
            file for file in Path(f"/proc/{master}/fd").iterdir() if str(cluster.path) in peer(file)
        ]
    test_no_two_workers_share_a_connection(site, cluster)
    site.supervisorctl("rolling_restart", "gu-held", check=True)


def peer(file: Path) -> str:
    """The address at which a socket of a process was accepted, as ss(8) shows it by its inode."""
    inode = re.fullmatch(r"socket:\[(\d+)\]", str(file.readlink()))
    if not inode:
        return ""
    lines = os.popen("ss --unix --no-header --all").read().splitlines()
    ends = {words[5]: words for words in map(str.split, lines) if len(words) > 7}
    other = ends.get(inode[1], [""] * 8)[7]
    return " ".join(ends.get(other, []))


@pytest.mark.slow
def test_a_killed_backend_is_one_visitors(site: Site, cluster: Cluster) -> None:
    """PostgreSQL ends every other connection, too, and takes a moment to be itself again."""
    ask_at_once(site, "/read")
    pids = "SELECT pid FROM pg_stat_activity WHERE datname = 'held'"
    before = site.masters()
    with visitors(site.port, "/read", rest=REST) as visits:
        os.kill(int(cluster.sql(pids).split()[0]), signal.SIGKILL)
        time.sleep(2)
    assert set(visits.failures) <= {"503"}
    assert visits.pause < 5
    assert site.get("/read").status == 200
    assert site.masters() == before


@pytest.mark.slow
def test_postgresql_restarts_under_load(site: Site, cluster: Cluster) -> None:
    """Visitors are asked to come again while it is down; then they get their pages, by the same workers."""
    before = set(site.every_worker())
    with visitors(site.port, "/read", rest=REST) as visits:
        cluster.stop()
        cluster.start()
    assert set(visits.failures) <= {"503"}
    assert visits.pause < 5
    assert set(site.every_worker()) == before


@pytest.mark.slow
def test_postgresql_is_down_for_a_while(site: Site, cluster: Cluster) -> None:
    before = set(site.every_worker())
    cluster.stop()
    try:
        assert is_asked_to_come_again(site, "/read")
        assert (site.get("/healthz").status, site.get("/healthz").text) == (503, "unavailable\n")
        assert site.get("/").status == 200
        with visitors(site.port, "/read", rest=REST) as visits:
            time.sleep(5)
        assert set(visits.failures) == {"503"} == set(visits.results)
        # What is restarted meanwhile comes up, for PostgreSQL may be long.
        site.supervisorctl("rolling_restart", "gu-held", check=True)
        after = set(site.every_worker())
        assert not before & after
    finally:
        cluster.start()
    with visitors(site.port, "/read", rest=REST) as visits:
        pass
    assert visits.failures == {}
    assert set(site.every_worker()) == after


@pytest.mark.slow
def test_too_many_connections(site: Site, cluster: Cluster) -> None:
    """Those who find none are asked to come again; who has one goes on."""
    site.supervisorctl("restart", "all", check=True)
    limit = f'ALTER ROLE "{site.path.owner()}" CONNECTION LIMIT'
    cluster.sql(f"{limit} 1")
    try:
        statuses = set()
        with ThreadPoolExecutor(16) as pool:
            for one in pool.map(lambda _: site.get("/backend"), range(64)):
                statuses.add(one.status)
    finally:
        cluster.sql(f"{limit} -1")
    assert statuses == {200, 503}
    with visitors(site.port, "/read", rest=REST) as visits:
        pass
    assert visits.failures == {}


@pytest.fixture
def small_disk(as_root: None, cluster: Cluster, site: Site) -> Iterator[Path]:
    """The table that the page writes is on a disk that ten of its rows would not fit on.

    Half of it is a file's.
    """
    disk = cluster.path / "disk"
    disk.mkdir()
    mount = 'mount -t tmpfs -o size=8m tmpfs "$1"; chown "$2" "$1"; head -c 4M /dev/zero >"$1/full"'
    cluster.stop()
    try:
        with namespace(cluster.path, mount, str(disk), USER) as cluster.inside:
            cluster.start()
            cluster.sql(f"CREATE TABLESPACE small LOCATION '{disk}'")
            alter = "ALTER TABLE django_session"
            cluster.sql(f"{alter} ALTER session_data SET STORAGE EXTERNAL", "held")
            cluster.sql(f"{alter} SET TABLESPACE small", "held")
            yield disk / "full"
            cluster.sql(f"{alter} SET TABLESPACE pg_default", "held")
            cluster.sql("DROP TABLESPACE small")
            cluster.stop()
    finally:
        cluster.inside = ()
    cluster.start()


@pytest.mark.slow
def test_the_disk_of_postgresql_is_full(site: Site, cluster: Cluster, small_disk: Path) -> None:
    """Whoever writes is asked to come again, whoever reads is not; then there is room, and all is well."""
    before = set(site.every_worker())
    eventually(lambda: site.get("/write?text=x").status != 200)
    assert is_asked_to_come_again(site, "/write?text=x")
    assert "No space left on device" in site.logs()
    assert (site.get("/read").status, site.get("/healthz").status) == (200, 200)
    subprocess.run([*cluster.inside, "rm", str(small_disk)], check=True)
    assert site.get("/write").text == "written"
    assert set(site.every_worker()) == before


@pytest.mark.slow
def test_a_query_and_a_lock_have_their_limits(site: Site, cluster: Cluster) -> None:
    """Well before a hang; the worker goes on, and so do the others."""
    before = set(site.every_worker())
    begin = time.monotonic()
    assert is_asked_to_come_again(site, f"/nap?seconds={QUERY + 10}")
    assert QUERY <= time.monotonic() - begin < QUERY + 5
    with held(cluster, "BEGIN; LOCK TABLE django_session; SELECT pg_sleep(60)"):
        begin = time.monotonic()
        assert is_asked_to_come_again(site, "/write")
        assert LOCK <= time.monotonic() - begin < QUERY
        assert site.get("/read").status == 200
    assert site.get("/write").text == "written"
    assert set(site.every_worker()) == before
    # Commands have the time that they need.
    show = "from django.db import connection as c; print(c.cursor().execute('SHOW statement_timeout').fetchone())"
    assert "'0'" in site.python("manage.py", "shell", "--no-imports", "-c", show).stdout


@pytest.mark.slow
def test_a_migration_gives_way_to_visitors(site: Site, cluster: Cluster) -> None:
    """Behind it, none waits for a long query of another; it is tried again until it has its lock."""
    migration = site.path / "pages" / "migrations" / "0001_note.py"
    migration.write_text(MIGRATION)
    said: list[str] = []
    migrating = threading.Thread(
        target=lambda: said.append(site.python("manage.py", "migrate", "--no-input").stdout)
    )
    try:
        with held(cluster, HELD.format(seconds=60)):
            migrating.start()
            waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            eventually(lambda: cluster.sql(waiting))
            eventually(lambda: not cluster.sql(waiting))
            assert site.get("/write").text == "written"
            assert not said
        migrating.join(30)
        assert "Others have the table in use: trying again." in said[0]
        assert said[0].endswith("Applying pages.0001_note... OK\n")
        assert site.python("manage.py", "migrate", "--check").returncode == 0
    finally:
        migrating.join()
        site.python("manage.py", "migrate", "--fake", "pages", "zero")
        migration.unlink()
        cluster.sql("ALTER TABLE django_session DROP COLUMN IF EXISTS note", "held")


@pytest.mark.slow
def test_a_migration_that_never_gets_its_lock_says_so(site: Site, cluster: Cluster) -> None:
    command = site.path / "pages" / "management" / "commands" / "migrate.py"
    delivered = command.read_text()
    command.write_text(delivered.replace("PATIENCE_SECONDS = 2, 60", "PATIENCE_SECONDS = 2, 3"))
    assert command.read_text() != delivered
    migration = site.path / "pages" / "migrations" / "0001_note.py"
    migration.write_text(MIGRATION)
    try:
        with held(cluster, HELD.format(seconds=60)):
            done = site.python("manage.py", "migrate", "--no-input", check=False)
    finally:
        command.write_text(delivered)
        migration.unlink()
    assert done.returncode == 1
    assert done.stderr.startswith("CommandError: For a minute, others had a table in use")
    assert done.stderr.count("\n") == 1
    assert cluster.sql("SELECT count(*) FROM django_migrations WHERE app = 'pages'", "held") == "0"


@pytest.mark.slow
def test_restarts_and_kills_lose_nothing(site: Site) -> None:
    """What holds with SQLite, of a page that asks the database."""
    for command in (("restart", "all"), ("rolling_restart", "gu-held")):
        with visitors(site.port, "/read", rest=REST) as visits:
            site.supervisorctl(*command, check=True)
        assert visits.failures == {}
    killed = site.masters()["gu-held:master-1"]
    with visitors(site.port, "/read", rest=REST) as visits:
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: len(site.masters()) == 2 and killed not in site.masters().values())
    assert set(visits.failures) <= {"lost", "cut"}
    assert sum(visits.failures.values()) <= CLIENTS


@pytest.mark.slow
@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///x",
        "mysql://zoe:pa55@host/name",
        "postgresql://zoe:pa55@host/",
        "postgresql://zoe:pa/55@host/name",
        "postgresql://zoe:pa55@host:port/name",
        "//zoe:pa55@host/name",
        "pa55",
    ],
)
def test_a_wrong_url_is_one_sentence_without_its_password(site: Site, url: str) -> None:
    environment = {**ENVIRONMENT, "DATABASE_URL": url}
    done = site.python("manage.py", "check", check=False, env=environment)
    assert done.returncode == 1
    assert done.stderr == (
        f"{site.path}/.env: write DATABASE_URL as postgresql:///NAME, or as"
        " postgresql://USER:PASSWORD@HOST/NAME with %40 for @ and the like in USER and PASSWORD.\n"
    )
