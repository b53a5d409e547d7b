"""A site on PostgreSQL: its releases rehearse on a copy, and its data come back whole.

What holds whatever the database is stands in test_release.py and test_copies.py.
"""

import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from load import visitors
from support.commands import AS_USER, ENVIRONMENT, USER, Run
from support.postgresql import Cluster
from support.server import Server, rest
from support.waiting import eventually, said_until

pytestmark = pytest.mark.slow

# Of each of the 16 visitors, in seconds.
REST = 0.1
COMMENT = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'shop'"
MIGRATION = """
from django.db import migrations


class Migration(migrations.Migration):
    operations = [migrations.RunSQL({sql!r})]
"""


@pytest.fixture(scope="module")
def cluster(new_cluster: Callable[[], Cluster]) -> Cluster:
    """One that these tests may stop."""
    return new_cluster()


@pytest.fixture(scope="module")
def served(new_server: Callable[..., Server], cluster: Cluster) -> Server:
    """A server with its first release, on a database that this has made."""
    server = new_server(database="postgresql")
    server.first = server.release(PGHOST=str(cluster.path))
    server.start()
    return server


@pytest.fixture
def server(served: Server, cluster: Cluster) -> Iterator[Server]:
    """The server, with no copies yet, and with one mark in its data."""
    eventually(lambda: len(served.masters()) == 2)
    mark(cluster, "first")
    yield served
    eventually(lambda: len(served.masters()) == 2)
    served.require_whole()
    eventually(lambda: databases(cluster) == {"shop"})
    cluster.sql("DELETE FROM django_content_type WHERE app_label = 'mark'", "shop")
    shutil.rmtree(served.path / "var" / "backups", ignore_errors=True)


def databases(cluster: Cluster) -> set[str]:
    return set(cluster.sql("SELECT datname FROM pg_database WHERE datname LIKE 'shop%'").split())


def mark(cluster: Cluster, name: str) -> None:
    insert = f"INSERT INTO django_content_type (app_label, model) VALUES ('mark', '{name}')"
    cluster.sql(insert, "shop")


def marks(cluster: Cluster) -> list[str]:
    select = "SELECT model FROM django_content_type WHERE app_label = 'mark' ORDER BY model"
    return cluster.sql(select, "shop").split()


def script(server: Server, name: str, *arguments: str) -> Run:
    """As root, where the tests are."""
    command = [str(server.path / "current" / "deploy" / name), *arguments]
    return subprocess.run(
        command, env=ENVIRONMENT, cwd="/", input="", capture_output=True, text=True, check=False
    )


def copy(server: Server) -> Path:
    done = script(server, "backup.sh")
    assert (done.returncode, done.stderr) == (0, ""), done
    return Path(done.stdout.split()[-1])


def migrating(sql: str) -> Callable[[Path], None]:
    def change(code: Path) -> None:
        path = code / "pages" / "migrations" / "0001_sql.py"
        path.write_text(MIGRATION.format(sql=sql))

    return change


def settings(text: str) -> Callable[[Path], None]:
    def change(code: Path) -> None:
        with (code / "shop" / "settings.py").open("a") as file:
            file.write(text)

    return change


OTHER_ENGINE = settings(
    'DATABASES["default"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "x"}\n'
)


# Releases


def test_the_first_release_makes_its_database(server: Server, cluster: Cluster) -> None:
    """By the socket that PGHOST names, which is in .env from then on."""
    assert f"DATABASE_URL=postgresql:///shop?host={cluster.path}\n" in env(server).read_text()
    assert cluster.sql(COMMENT) == str(server.path)


def env(server: Server) -> Path:
    return server.path / ".env"


def test_a_migration_is_tried_on_a_copy(server: Server, cluster: Cluster) -> None:
    """One that the data refuse leaves those that visitors use as they are."""
    sessions = "INSERT INTO django_session SELECT n, 'same', now() FROM generate_series(1, 2) n"
    cluster.sql(sessions, "shop")
    sql = "CREATE TABLE x (); CREATE UNIQUE INDEX ON django_session (session_data)"
    with visitors(server.port, rest=rest(server.path)) as visits:
        done = server.release(migrating(sql), check=False)
    assert (done.returncode, visits.failures) == (1, {})
    assert "could not create unique index" in done.stderr
    last = done.stderr.splitlines()[-2:]
    step = "It failed: Rehearsal: migrating the copy of the database."
    assert last == [step, f"{server.current} serves as before."]
    assert databases(cluster) == {"shop"}
    assert cluster.sql("SELECT to_regclass('x')", "shop") == ""

    # Without the data, nothing is against it until it is made in earnest.
    done = server.release(migrating(sql), options=("--rehearse-schema",), check=False)
    assert "Not tried, as the copy has no rows: migrations that change rows" in done.stdout
    assert "could not create unique index" in done.stderr
    assert "It failed: Migrating the database." in done.stderr
    assert cluster.sql("SELECT to_regclass('x')", "shop") == ""


def test_the_rehearsal_warns_of_what_the_old_release_cannot_live_with(
    server: Server, cluster: Cluster
) -> None:
    sql = "ALTER TABLE accounts_user ADD size integer NOT NULL DEFAULT 1; "
    sql += "ALTER TABLE accounts_user ALTER size DROP DEFAULT"
    done = server.release(migrating(sql))
    warning = f"Warning: accounts_user.size must have a value, and {server.previous}, which serves,"
    assert warning in done.stdout
    cluster.sql("ALTER TABLE accounts_user DROP size", "shop")
    cluster.sql("DELETE FROM django_migrations WHERE app = 'pages'", "shop")
    server.release(options=("--rollback",))


def test_a_release_that_is_killed_leaves_no_copy(server: Server, cluster: Cluster) -> None:
    with server.releasing() as process:
        said_until(process, "migrating the copy")
        eventually(lambda: "shop_rehearsal" in databases(cluster))
        process.kill()
    eventually(lambda: databases(cluster) == {"shop"})
    server.release()


def test_another_database_is_refused(server: Server, cluster: Cluster) -> None:
    """Whether the settings name another kind, or heed no DATABASE_URL."""
    before = server.current
    done = server.release(OTHER_ENGINE, check=False)
    assert "This site was generated for PostgreSQL, and its settings name another" in done.stderr
    url = env(server).read_text().partition("DATABASE_URL=")[2].splitlines()[0]
    fixed = f'DATABASES["default"] |= env.db_url_config({url!r})\n'
    done = server.release(settings(fixed), check=False)
    assert "The settings do not take the database from DATABASE_URL" in done.stderr
    assert server.current == before

    OTHER_ENGINE(server.path / "current")
    done = script(server, "backup.sh")
    assert (done.returncode, "generated for PostgreSQL, and" in done.stderr) == (1, True), done
    assert not [*(server.path / "var" / "backups").iterdir()]
    server.release()


def test_where_postgresql_is_down_nothing_is_touched(server: Server, cluster: Cluster) -> None:
    """And its pages say 503 until it is back."""
    releases, serves = server.releases, server.current
    cluster.stop()
    try:
        done = server.release(check=False)
        backup = script(server, "backup.sh")
        assert server.get("/healthz").status == 503
    finally:
        cluster.start()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"PostgreSQL does not answer at {cluster.path}/.s.PGSQL.5432: ")
    assert f"{serves} stays in place, but the site does not answer" in done.stderr
    assert server.releases == releases
    assert (backup.returncode, "PostgreSQL does not answer at" in backup.stderr) == (1, True)
    assert not [*(server.path / "var" / "backups").iterdir()]
    eventually(server.answers)


# Copies


def test_a_copy_is_whole_and_comes_back(server: Server, cluster: Cluster) -> None:
    """Nobody is refused meanwhile; what was there is kept, and can be put back as well."""
    whole = copy(server)
    assert {path.name for path in whole.iterdir()} == {"database.dump", "env"}
    assert (whole / "database.dump").stat().st_mode & 0o777 == 0o600
    mark(cluster, "second")
    shown = script(server, "restore.sh").stdout
    assert re.fullmatch(rf"{whole.name}  0\.\d MB\nTo put one back: \S+ NAME\n", shown)
    with visitors(server.port, rest=REST) as visits:
        done = script(server, "restore.sh", whole.name, "--yes")
    assert (done.returncode, done.stderr, visits.failures) == (0, "", {})
    assert (marks(cluster), databases(cluster)) == (["first"], {"shop"})
    replaced = done.stdout.rpartition("is in ")[2].removesuffix(".\n")
    assert script(server, "restore.sh", replaced, "--yes").returncode == 0
    assert marks(cluster) == ["first", "second"]
    assert cluster.sql(COMMENT) == str(server.path)
    owner = "SELECT rolname FROM pg_roles JOIN pg_database ON datdba = pg_roles.oid WHERE datname = 'shop'"
    assert cluster.sql(owner) == (USER if AS_USER else env(server).owner())


def test_what_cannot_come_back_changes_nothing(
    server: Server, cluster: Cluster, folder: Path
) -> None:
    whole = (copy(server) / "database.dump").read_bytes()
    file, mark_of_now = folder / "database.dump", marks(cluster)
    for content in (b"", whole[: len(whole) // 2], b"PGDMP\x01\x63\x00" + whole[8:]):
        file.write_bytes(content)
        done = script(server, "restore.sh", str(folder), "--yes")
        assert done.returncode == 1
        assert done.stderr.startswith(f"{folder} cannot be put back (")
        assert (marks(cluster), databases(cluster)) == (mark_of_now, {"shop"})
    assert "(a PostgreSQL that is newer than the one here has made it)" in done.stderr


def test_a_restore_that_fails_is_undone(server: Server, cluster: Cluster) -> None:
    """Here, the copy cannot be migrated."""
    cluster.sql("DELETE FROM django_migrations WHERE app = 'sessions'", "shop")
    whole = copy(server)
    insert = "INSERT INTO django_migrations (app, name, applied) VALUES ('sessions', '0001_initial', now())"
    cluster.sql(insert, "shop")
    mark(cluster, "second")
    with visitors(server.port, rest=REST) as visits:
        done = script(server, "restore.sh", whole.name, "--yes")
    assert (done.returncode, visits.failures) == (1, {})
    assert 'relation "django_session" already exists' in done.stderr
    assert (marks(cluster), databases(cluster)) == (["first", "second"], {"shop"})


def test_where_postgresql_goes_during_a_restore_it_says_where_the_data_are(
    server: Server, cluster: Cluster
) -> None:
    whole = copy(server)
    command = [str(server.path / "current/deploy/restore.sh"), whole.name, "--yes"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        eventually(lambda: "shop_replaced" in databases(cluster))
        cluster.stop()
        refusal = process.communicate()[1]
    cluster.start()
    assert (process.returncode, databases(cluster)) == (1, {"shop", "shop_replaced"})
    assert "look for shop_replaced (psql -l)" in refusal
    cluster.sql("DROP DATABASE shop WITH (FORCE)")
    cluster.sql("ALTER DATABASE shop_replaced RENAME TO shop")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_restore_is_undone(server: Server, cluster: Cluster, number: int) -> None:
    whole = copy(server)
    mark(cluster, "second")
    command = [str(server.path / "current/deploy/restore.sh"), whole.name, "--yes"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, bufsize=0) as process:
        said_until(process, "visitors wait")
        eventually(lambda: "shop_replaced" in databases(cluster))
        process.send_signal(number)
        process.communicate()
    assert process.returncode == 130
    assert (marks(cluster), databases(cluster)) == (["first", "second"], {"shop"})
