"""_("Copies the database while the site goes on, and keeps the copies of a week.")"""

import os
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path

KEPT_COPIES = 7
VAR = Path(__file__).resolve().parents[2] / "var"


def main(words):
    #: The copies hold what the database holds: they are for the site's user alone.
    os.umask(0o077)
    folder = VAR / "backups"
    folder.mkdir(exist_ok=True)
    copy = folder / f"db-{date.today()}.sqlite3"
    unfinished = copy.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    #: SQLite's own way: unlike cp, it copies a database that is being written to as it stood at one moment.
    with (
        closing(sqlite3.connect(VAR / "db.sqlite3")) as source,
        closing(sqlite3.connect(unfinished)) as target,
    ):
        source.backup(target)
    unfinished.replace(copy)
    for old in sorted(folder.glob("db-*.sqlite3"))[:-KEPT_COPIES]:
        old.unlink()
