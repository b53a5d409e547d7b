"""deploy/release.sh while tasks wait and are done: what is released, warned of, refused and taken back."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from load import visitors
from support.project import Project
from support.server import Server
from support.tasks import Tasks, add_task
from support.waiting import eventually

pytestmark = pytest.mark.slow

REST = 0.2
NOT_HERE = """import sys
if VAR.name == "var" and "worker" in sys.argv:
    sys.exit("Not here")
"""


def edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(code: Path) -> None:
        text = (code / name).read_text()
        assert old in text
        (code / name).write_text(text.replace(old, new))

    return change


@pytest.fixture(scope="module")
def server(new_server: Callable[..., Server]) -> Server:
    server = new_server(tasks="celery")
    server.first = server.release(add_task)
    Tasks(server, "current").make_table()
    server.start()
    return server


@pytest.fixture
def tasks(server: Server) -> Tasks:
    tasks = Tasks(server, "current")
    eventually(lambda: {*tasks.runs()} == {"worker", "beat", "redis"}, 60)
    return tasks


def folders(tasks: Tasks) -> dict[str, str]:
    """Program → the folder where it runs."""
    return {name: Path(f"/proc/{pid}/cwd").readlink().name for name, pid in tasks.runs().items()}


def test_a_site_without_tasks_gets_them(
    new_server: Callable[..., Server], bake: Callable[..., Project], folder: Path
) -> None:
    """By the way of the README, and what the chapter says then; what root types is left out."""
    server = new_server()
    server.release()
    server.start()
    addresses = {
        "bind": f"127.0.0.1:{server.port}",
        "web_interface": f"127.0.0.1:{server.web_port}",
    }
    for answer in ("none", "celery"):
        made = bake(project_slug="shop", tasks=answer, **addresses)
        shutil.copytree(made.path, folder / answer / "shop")
    change = f"diff -ruN none/shop celery/shop | patch --batch -p2 -d {server.code}"
    subprocess.run(["sh", "-c", change], cwd=folder, stdout=subprocess.DEVNULL, check=True)
    with visitors(server.port, rest=REST) as visits:
        done = server.release(add_task)
        assert "redis: available" in done.stdout
        tasks = Tasks(server, "current")
        assert tasks.runs() == {}
        server.supervisorctl("update", check=True)
        eventually(lambda: {*tasks.runs()} == {"worker", "beat", "redis"}, 60)
    assert not visits.failures
    tasks.make_table()
    tasks.queue(1)
    eventually(lambda: tasks.done() == [0], 20)


def test_the_first_release_has_asked_a_worker(server: Server) -> None:
    assert server.first
    assert "Rehearsal: asking a worker for its tasks" in server.first.stdout
    assert "Warning" not in server.first.stdout


def test_a_release_and_its_rollback_lose_no_task(server: Server, tasks: Tasks) -> None:
    """Nor a request. Redis goes on."""
    old, redis = server.current, tasks.runs()["redis"]
    for options in ((), ("--rollback",)):
        with (
            visitors(server.port, rest=REST) as visits,
            tasks.thousand(f"release.sh {' '.join(options)}"),
        ):
            done = server.release(add_task, options=options)
        assert not visits.failures
        assert folders(tasks) == {"worker": server.current, "beat": server.current, "redis": "var"}
        assert "Warning" not in done.stdout
    assert (server.current, tasks.runs()["redis"]) == (old, redis)
    server.require_whole()


def test_a_release_warns_of_what_its_worker_cannot_do(server: Server, tasks: Tasks) -> None:
    more = edit(
        "pages/tasks.py",
        "def write(number, seconds=0.0):",
        "def write(number, seconds=0.0, name=None):",
    )
    other = edit(
        "pages/tasks.py",
        "def write(number, seconds=0.0):",
        "def write(seconds=0.0):\n    number = 0",
    )
    gone = edit("pages/tasks.py", "def clear_sessions", "def clear_logins")
    old = server.current
    # Rehearsals say it: nothing need run.
    server.stop()
    assert "Warning" not in server.release(add_task, more).stdout
    serves = server.current
    done = server.release(add_task, other, gone)
    assert (
        "Warning: pages.tasks.write takes (seconds=0.0), and such tasks that"
        f" {serves}, which serves, has queued were made for (number, seconds=0.0, name=None):"
        " they would fail." in done.stdout
    )
    assert (
        f"Warning: pages.tasks.clear_sessions is gone, and such tasks that {serves}" in done.stdout
    )
    server.release(options=("--rollback", old))
    server.start()


def test_a_worker_that_does_not_come_up_takes_the_release_back(
    server: Server, tasks: Tasks
) -> None:
    before, states = server.current, tasks.runs()
    broken = edit("pages/tasks.py", "@shared_task\ndef clear", "1 / 0\n\n\n@shared_task\ndef clear")
    done = server.release(add_task, broken, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith(f"{before} serves as before.\n")
    assert tasks.runs() == states
    # One that no rehearsal meets
    settings = edit("shop/settings.py", "LOGGING = {", f"{NOT_HERE}\n\nLOGGING = {{")
    with tasks.thousand("a worker that does not come up"):
        done = server.release(add_task, settings, check=False)
    assert "did not come up" in done.stderr
    assert done.stderr.endswith(f"{before} serves as before.\n")
    assert {*folders(tasks).values()} == {before, "var"}
    server.require_whole()
