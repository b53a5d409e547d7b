"""A site that began with SQLite moves to PostgreSQL as the README and the chapter say."""

import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.commands import AS_USER, USER
from support.documents import Document
from support.lesson import Reader, lesson_of, reader, serves, write_files
from support.postgresql import Cluster
from support.project import Project
from support.server import Server
from support.service_files import name_folder
from support.template import READMES, read
from support.waiting import eventually

pytestmark = pytest.mark.slow

CHAPTER = "docs/postgresql.md"
# What root alone can do; the tests' PostgreSQL knows the site's user.
ROOTS = {"sudo apt install postgresql", "sudo deploy/install.sh"}
# What a manager leaves out comes along, and so does the number of a row that has gone; a time may
# have less than a millisecond.
DATA = """
from datetime import datetime, timezone
from django.contrib.auth.models import Group, Permission
from django.test import Client
from accounts.models import User
ada = User.objects.create_superuser("ada", "ada@example.org", "I like gunicorns")
User.objects.bulk_create(User(username=f"user {number}") for number in range(30))
User.objects.get(username="user 3").delete()
moment = datetime(2026, 11, 27, 8, 54, 22, 123, timezone.utc)
User.objects.filter(username="user 4").update(date_joined=moment)
group = Group.objects.create(name="L'équipe")
group.permissions.set(Permission.objects.all()[:5])
ada.groups.add(group)
Client().force_login(ada)
"""
ENTRIES = """
from guestbook.models import Entry
Entry.objects.create(name="Zoé", text="é\\n" * 100, shown=True)
Entry.objects.create(name="Ada", text="{% raw %} 😀")
"""


def fill(site: Project, *parts: str) -> None:
    for part in parts:
        site.python("manage.py", "shell", "--no-imports", "-c", part)


def rows_of_sqlite(var: Path) -> dict[str, int]:
    """Table → number of its rows, without those of SQLite itself."""
    with closing(sqlite3.connect(var / "db.sqlite3")) as database:
        find = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        names = [name for (name,) in database.execute(find)]
        count = "SELECT count(*) FROM {}"
        return {name: database.execute(count.format(name)).fetchone()[0] for name in names}


def require_moved(site: Project, cluster: Cluster, rows: dict[str, int]) -> None:
    """Asserts that each table has its rows, and gives the next one a number that is free."""
    (name,) = re.findall(
        r"(?m)^DATABASE_URL=postgresql:///(\w+)\?", (site.path / ".env").read_text()
    )
    counts = "UNION ALL ".join(f"SELECT '{table}', count(*) FROM {table} " for table in rows)
    found = dict(line.split("|") for line in cluster.sql(counts, name).splitlines())
    # Of migrations, both have those of the same code.
    assert found == {table: str(number) for table, number in rows.items()}
    serial = (
        "SELECT table_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND column_name = 'id' AND is_identity = 'YES'"
    )
    tables = cluster.sql(serial, name).split()
    assert {"accounts_user", "auth_permission", "django_migrations"} <= set(tables)
    for table in tables:
        next_id = (
            f"SELECT nextval(pg_get_serial_sequence('{table}', 'id'))"
            f" > (SELECT coalesce(max(id), 0) FROM {table})"
        )
        assert cluster.sql(next_id, name) == "t", table


def blocks(site: Project) -> list[str]:
    """The commands of the chapter's last section."""
    section = lesson_of(site)[CHAPTER].sections[-1]
    return [text for kind, text in section.blocks if kind == "sh"]


def code_of_postgresql(bake: Callable[..., Project], folder: Path, **answers: str) -> str:
    """Makes both sites from the same answers, as two commands of the README do, and gives the third."""
    section = Document(read(READMES["en"])).section("SQLite or PostgreSQL?")
    dump, first, second, patch = section.block("sh").splitlines()
    assert first.startswith("cookiecutter -o sqlite ")
    assert second.startswith("cookiecutter -o postgresql ")
    slug = answers["project_slug"]
    for database in ("sqlite", "postgresql"):
        made = bake(database=database, **answers)
        shutil.copytree(made.path, folder / database / slug)
    return f"{dump}\n{patch}".replace("my_site", slug)


@pytest.fixture
def at_home(
    bake: Callable[..., Project], short_folder: Path, postgresql: Cluster
) -> Iterator[Reader]:
    with reader(bake, short_folder, postgresql) as site:
        yield site


def test_at_home(at_home: Reader, bake: Callable[..., Project], postgresql: Cluster) -> None:
    """A site to which its owner has added an app: that stays."""
    for command in ("./bootstrap.sh", "venv/bin/python manage.py startapp guestbook"):
        at_home.type(command)
    at_home.type("mkdir -p guestbook/templates/guestbook")
    with_guestbook(at_home)
    at_home.type("venv/bin/python manage.py makemigrations guestbook\n./bootstrap.sh")
    fill(at_home, DATA, ENTRIES)
    rows = rows_of_sqlite(at_home.path / "var")
    assert (rows["accounts_user"], rows["guestbook_entry"]) == (30, 2)
    answers = {
        "project_slug": "lesson",
        "domain_name": domain(at_home),
        "bind": f"127.0.0.1:{at_home.port}",
        "web_interface": f"127.0.0.1:{at_home.web_port}",
    }
    at_home.type(f"cd ..\n{code_of_postgresql(bake, at_home.home, **answers)}")
    assert '"guestbook",' in (at_home.path / "lesson" / "settings.py").read_text()
    assert [*at_home.path.rglob("*.rej")] == []

    load, compare, *_ = blocks(at_home)
    at_home.type(load)
    assert at_home.type(compare) == ""
    require_moved(at_home, postgresql, rows)
    at_home.start()
    assert serves(at_home)
    assert "Zoé" in at_home.get("/guestbook/").text
    assert at_home.type("./bootstrap.sh").startswith("Everything is in place.")
    # A row that is lost is seen.
    at_home.python(
        *("manage.py", "shell", "--no-imports", "-c"),
        "from guestbook.models import Entry; Entry.objects.get(name='Ada').delete()",
    )
    assert '"name": "Ada"' in at_home.type(compare)


def with_guestbook(site: Reader) -> None:
    """Writes the files of the chapter on apps, as whoever reads it."""
    write_files(site, "docs/app.md")
    if AS_USER:
        subprocess.run(["chown", "-R", f"{USER}:nogroup", site.path], check=True)


def domain(site: Project) -> str:
    """As it was answered."""
    text = (site.path / "deploy" / "server" / "facts.py").read_text()
    return text.partition('DOMAIN = "')[2].partition('"')[0]


def test_on_a_server(
    new_server: Callable[..., Server], bake: Callable[..., Project], postgresql: Cluster
) -> None:
    """What root types on an installed one is typed by the site's user; a way back finds the old data."""
    server = new_server()
    server.release()
    server.start()
    shell = ("current/venv/bin/python", "current/manage.py", "shell", "--no-imports", "-c")
    server.run(*shell, DATA)
    rows = rows_of_sqlite(server.path / "var")

    answers = {"bind": f"127.0.0.1:{server.port}", "web_interface": f"127.0.0.1:{server.web_port}"}
    made = bake(project_slug="shop", database="postgresql", **answers)
    code = Path(shutil.copytree(made.path, server.code.parent / "postgresql"))
    name_folder(code, server.path)
    environment = {**server.environment, **postgresql.environment}
    supervisord = f"{server.path}/current/venv/bin/{{}} -c {server.config}"
    as_user = {
        # Django's dbshell finds the tests' PostgreSQL by a variable, which manage.sh does not pass on.
        "sudo deploy/manage.sh dbshell": f"{server.path}/current/venv/bin/python"
        f" {server.path}/current/manage.py dbshell",
        "service supervisord stop": f"{supervisord.format('supervisorctl')} shutdown",
        "service supervisord start": supervisord.format("supervisord"),
        "/srv/shop": str(server.path),
        "sudo ": "",
    }
    said = {}
    for line in "".join(blocks(made)[2:]).splitlines():
        command = line
        for root, user in as_user.items():
            command = command.replace(root, user)
        if line not in ROOTS:
            done = server.run("sh", "-ec", f"cd {code}\n{command}", env=environment)
            said[line] = done.stdout
    (compare,) = (line for line in said if line.startswith("sudo sed "))
    assert said[compare] == ""
    eventually(server.answers)
    require_moved(server, postgresql, rows)
    eventually(lambda: len(server.masters()) == 2)
    server.require_whole()

    server.run("sh", "-ec", f"cd {code}\ndeploy/release.sh --rollback", env=environment)
    eventually(server.answers)
    assert rows_of_sqlite(server.path / "var") == rows
    assert (
        "30"
        in server.run(
            *shell, "from accounts.models import User; print(User.objects.count())"
        ).stdout
    )
