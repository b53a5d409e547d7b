"""Several processes write to one SQLite database by Django; run with the Python of a site.

    writers.py DATABASE PROCESSES SECONDS [--plain]

--plain: with Django's default settings for SQLite instead of the site's. Prints JSON.
"""

import json
import multiprocessing
import os
import sys
import time

import django
from django.conf import settings
from django.core.management import call_command
from django.db import OperationalError, connections

ROWS = 100


def write(seconds: float) -> tuple[int, int]:
    """What a view does with a session or a counter: reads a row and saves it, in a transaction."""
    from django.contrib.sessions.models import Session
    from django.utils import timezone

    commits = locked = 0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        key = f"{os.getpid()}-{(commits + locked) % ROWS}"
        now = timezone.now()
        try:
            Session.objects.update_or_create(session_key=key, defaults={"expire_date": now})
            commits += 1
        except OperationalError as error:
            if "locked" not in str(error):
                raise
            locked += 1
    return commits, locked


def main() -> None:
    """Makes the database, lets the processes write and adds their numbers up."""
    path, number, seconds, *plain = sys.argv[1:]
    database = settings.DATABASES["default"]
    if plain:
        database = settings.DATABASES["default"] = {"ENGINE": database["ENGINE"]}
    database["NAME"] = path
    django.setup()
    call_command("migrate", verbosity=0)
    # No process may inherit an open SQLite database.
    connections.close_all()
    with multiprocessing.get_context("fork").Pool(int(number)) as pool:
        done = pool.map(write, [float(seconds)] * int(number), chunksize=1)
    commits, locked = map(sum, zip(*done, strict=True))
    print(json.dumps({"commits": commits, "locked": locked}))


if __name__ == "__main__":
    main()
