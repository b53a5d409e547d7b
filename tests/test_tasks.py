"""Tasks: none is lost, whatever ends or restarts while they wait and while they are done."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from support.project import Site
from support.waiting import eventually

pytestmark = pytest.mark.slow

TASKS = """

@shared_task
def write(number, seconds=0.0):
    time.sleep(seconds)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO done VALUES (%s)", [number])
"""
QUEUE = (
    "from pages.tasks import write\nfor number in range({number}): write.delay(number, {seconds})"
)
SQL = (
    "from django.db import connection\nwith connection.cursor() as cursor: cursor.execute({sql!r})"
)
# Seconds, where the settings say 900, 20, 300 and 330
SHORT = {
    '"visibility_timeout": 900': '"visibility_timeout": 60',
    "SOFT_SHUTDOWN_TIMEOUT = 20": "SOFT_SHUTDOWN_TIMEOUT = 2",
    "SOFT_TIME_LIMIT = 300": "SOFT_TIME_LIMIT = 4",
    "TASK_TIME_LIMIT = 330": "TASK_TIME_LIMIT = 6",
}


def shell(site: Site, code: str) -> str:
    return site.python("manage.py", "shell", "--no-imports", "-c", code).stdout


@pytest.fixture(scope="module")
def site(make_site: Callable[..., Site]) -> Site:
    site = make_site(project_slug="queue_site", tasks="celery")
    settings = site.path / "queue_site" / "settings.py"
    text = settings.read_text()
    for old, new in SHORT.items():
        assert old in text
        text = text.replace(old, new)
    settings.write_text(text)
    tasks = site.path / "pages" / "tasks.py"
    imports = '"""\n\nimport time\n\nfrom django.db import connection\n'
    tasks.write_text(tasks.read_text().replace('"""\n', imports, 1) + TASKS)
    shell(site, SQL.format(sql="CREATE TABLE done (number integer)"))
    site.start()
    eventually(lambda: set(runs(site)) == {"worker", "beat", "redis"}, 30)
    return site


def runs(site: Site) -> dict[str, int]:
    """The programs beside gunicorn that are RUNNING: name → pid."""
    found = {name.partition(":")[0]: state for name, state in site.states().items()}
    return {
        name: pid
        for name, (state, pid) in found.items()
        if state == "RUNNING" and not name.startswith("gu-")
    }


def waiting(site: Site) -> dict[str, int]:
    words = site.get("/queuez").text.split()
    return dict(zip(words[::2], map(int, words[1::2]), strict=True))


def rows(site: Site) -> list[int]:
    code = "from django.db import connection\nwith connection.cursor() as cursor:\n cursor.execute('SELECT number FROM done')\n print([number for number, in cursor.fetchall()])"
    return eval(shell(site, code))


@contextmanager
def thousand(site: Site, request: pytest.FixtureRequest) -> Iterator[None]:
    """Tasks that are queued before the block and done after it, each at least once."""
    shell(site, SQL.format(sql="DELETE FROM done"))
    shell(site, QUEUE.format(number=1000, seconds=0.005))
    yield
    eventually(lambda: not any(waiting(site).values()), 90)
    done = rows(site)
    print(f"{request.node.name}: {len(done) - len({*done})} of 1000 ran twice")
    assert {*done} == {*range(1000)}


def restart_all(site: Site) -> None:
    site.supervisorctl("restart", "all", check=True)


def rolling_restart(site: Site) -> None:
    before = runs(site)
    site.supervisorctl("rolling_restart", "all", check=True)
    after = runs(site)
    assert {name for name in after if after[name] != before[name]} == {"worker", "beat"}


def kill_a_process_of_the_pool(site: Site) -> None:
    os.kill(site.workers(runs(site)["worker"])[0], signal.SIGKILL)


def kill_the_worker(site: Site) -> None:
    os.kill(runs(site)["worker"], signal.SIGKILL)


def kill_all_of_the_worker(site: Site) -> None:
    worker = runs(site)["worker"]
    for pid in [worker, *site.workers(worker)]:
        os.kill(pid, signal.SIGKILL)


def kill_supervisord(site: Site) -> None:
    assert site.pid
    os.kill(site.pid, signal.SIGKILL)
    eventually(lambda: not site.processes(), 20)
    site.start()


def restart_redis(site: Site) -> None:
    site.supervisorctl("restart", "redis", check=True)


def stop_redis_for_a_while(site: Site) -> None:
    site.supervisorctl("stop", "redis", check=True)
    time.sleep(10)
    site.supervisorctl("start", "redis", check=True)


def kill_redis(site: Site) -> None:
    os.kill(runs(site)["redis"], signal.SIGKILL)
    eventually(lambda: "redis" in runs(site))


EVENTS = (
    restart_all,
    rolling_restart,
    kill_a_process_of_the_pool,
    kill_the_worker,
    kill_all_of_the_worker,
    kill_supervisord,
    restart_redis,
    stop_redis_for_a_while,
    kill_redis,
)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_no_task_is_lost(
    site: Site, event: Callable[[Site], None], request: pytest.FixtureRequest
) -> None:
    with thousand(site, request):
        time.sleep(1)
        event(site)
