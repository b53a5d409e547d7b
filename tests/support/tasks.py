"""A site with tasks: one that writes a row, and what of a thousand of them is there in the end."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from .project import Site
from .waiting import eventually

NUMBER = 1000
# Its rows are counted: how often each task ran.
TASKS = """

@shared_task
def write(number, seconds=0.0):
    time.sleep(seconds)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO done VALUES (%s)", [number])
"""
IMPORTS = '"""\n\nimport time\n\nfrom django.db import connection\n'
# A connection for each: what is asked for is little, and rare.
ASK = """
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute({sql!r})
    print(*cursor.fetchall() if cursor.description else (), sep="\\n")
"""
QUEUE = """
from pages.tasks import write
for number in range({number}):
    write.delay(number, {seconds})
"""


def add_task(code: Path) -> None:
    """Gives the code of a site the task `write`; its table is made by `make_table`."""
    tasks = code / "pages" / "tasks.py"
    tasks.write_text(tasks.read_text().replace('"""\n', IMPORTS, 1) + TASKS)


@dataclass
class Tasks:
    """Those of a site that runs; its code lies in a folder of it, on a server."""

    site: Site
    code: str = "."

    def shell(self, code: str) -> str:
        words = (f"{self.code}/venv/bin/python", f"{self.code}/manage.py", "shell", "--no-imports")
        return self.site.run(*words, "-c", code).stdout

    def sql(self, statement: str) -> list[int]:
        """Of the database itself, SQLite's: what is asked for again and again starts no Django."""
        path = self.site.path / "var" / "db.sqlite3"
        with closing(sqlite3.connect(path, 30, isolation_level=None)) as database:
            return [number for (number,) in database.execute(statement)]

    def done(self) -> list[int]:
        return self.sql("SELECT number FROM done")

    def make_table(self) -> None:
        self.sql("CREATE TABLE done (number integer)")

    def queue(self, number: int, seconds: float = 0.0) -> None:
        self.shell(QUEUE.format(number=number, seconds=seconds))

    def state(self) -> dict[str, int]:
        """What /queuez says; empty while the broker does not answer."""
        response = self.site.get("/queuez")
        lines = map(str.split, response.text.splitlines()) if response.status == 200 else ()
        return {name: int(value) for name, value in lines}

    def none_is_left(self) -> bool:
        state = self.state()
        return bool(state) and state["waiting"] == state["taken"] == 0

    def runs(self) -> dict[str, int]:
        """The programs beside gunicorn that are RUNNING: name → pid."""
        states = self.site.states().items()
        return {
            name.partition(":")[0]: pid
            for name, (state, pid) in states
            if state == "RUNNING" and not name.startswith("gu-")
        }

    @contextmanager
    def thousand(self, event: str) -> Iterator[None]:
        """They wait or are under way within the block; after it, each has been done."""
        self.sql("DELETE FROM done")
        self.queue(NUMBER, 0.005)
        yield
        eventually(self.none_is_left, 120)
        done = Counter(self.done())
        print(f"{event}: {done.total() - len(done)} of {NUMBER} tasks ran twice")
        assert {*done} == {*range(NUMBER)}
