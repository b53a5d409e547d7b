"""The chapter on PostgreSQL and the troubles with it: each happens, shows its message, and is mended as it says."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.lesson import TROUBLES, Reader, lesson_of, reader, serves, shown
from support.pages import home_page_that
from support.postgresql import Cluster
from support.project import Project
from support.waiting import eventually

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster(new_cluster: Callable[[], Cluster]) -> Cluster:
    """One that these tests may stop."""
    return new_cluster()


@pytest.fixture(scope="module")
def made(bake: Callable[..., Project], short_folder: Path, cluster: Cluster) -> Iterator[Reader]:
    with reader(bake, short_folder, cluster, database="postgresql") as made:
        yield made


@pytest.fixture
def site(made: Reader) -> Iterator[Reader]:
    """The site with both masters running."""
    made.type("./bootstrap.sh")
    made.start()
    assert serves(made)
    yield made
    made.stop()


def symptom(site: Reader, title: str) -> str:
    return lesson_of(site)[TROUBLES].section(title).block("text").strip()


def remedy(site: Reader, title: str) -> list[str]:
    return lesson_of(site)[TROUBLES].section(title).block("sh").splitlines()


def test_postgresql_comes_to_know_the_reader(made: Reader, cluster: Cluster) -> None:
    """By the command of the README and of the chapter, which the user postgres runs."""
    create = "sudo -u postgres createuser --createdb $USER"
    lesson = lesson_of(made)
    for name in ("README.md", "docs/postgresql.md"):
        assert f"{create}\n" in lesson[name].text
    user = made.path.owner()
    cluster.sql(f'DROP ROLE "{user}"')
    assert create.replace("$USER", user) in made.type("./bootstrap.sh", check=False)
    cluster.program("createuser", "--username=postgres", "--createdb", user)
    assert "Everything is in place." in made.type("./bootstrap.sh")


def test_postgresql_does_not_answer(site: Reader, cluster: Cluster) -> None:
    title = "PostgreSQL does not answer"
    cluster.stop()
    try:
        eventually(lambda: site.get("/healthz").status == 503)
        eventually(lambda: shown(symptom(site, title), site.logs()))
    finally:
        # As root's command does.
        assert remedy(site, title) == ["sudo service postgresql start"]
        cluster.start()
    eventually(site.answers)


def test_too_many_connections(site: Reader, cluster: Cluster) -> None:
    """Four, of which PostgreSQL keeps three for its administrator."""
    title = "Too many connections"
    alter, restart = remedy(site, title)
    cluster.set(max_connections="4", max_wal_senders="0")
    eventually(
        lambda: site.get("/healthz").status == 503 and shown(symptom(site, title), site.logs()), 30
    )
    _, statement, _ = alter.split("'")
    cluster.sql(statement)
    assert restart == "sudo service postgresql restart"
    cluster.stop()
    cluster.start()
    eventually(site.answers)
    assert {site.get("/healthz").status for _ in range(20)} == {200}


def test_the_site_is_busy(made: Reader, cluster: Cluster) -> None:
    made.change("deploy/gunicorn.conf.py", "lock_timeout=5000", "lock_timeout=500")
    write = "from django.contrib.sessions.models import Session; Session.objects.all().delete()"
    lock = "BEGIN; LOCK TABLE django_session; SELECT pg_sleep(3)"
    with home_page_that(made, write):
        made.start()
        eventually(made.answers)
        with ThreadPoolExecutor() as pool:
            other = pool.submit(cluster.sql, lock, "lesson")
            eventually(lambda: made.get("/").status == 503)
            eventually(lambda: shown(symptom(made, "The site is busy"), made.logs()))
            other.result()
        assert made.get("/").status == 200
    made.stop()
    made.change("deploy/gunicorn.conf.py", "lock_timeout=500", "lock_timeout=5000")
