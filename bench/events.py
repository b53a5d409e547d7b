"""What happens to a site while visitors ask it for pages, and what they notice of it."""

import http.client
import random
import re
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import processes
from load import visitors
from ways import Running, Way, behind_nginx

# Seconds in which a failure would show, and those after which the site counts as down.
OBSERVED = 3
PATIENCE = 10
# Between the end of supervisord and the start of another.
BEFORE_NEW_START = 1

KILLS_PER_SECOND = 8
SECONDS_OF_KILLS = 10


@dataclass(frozen=True)
class Event:
    """A row of the table, with what the template must reach."""

    name: str
    happen: Callable[[Running], object]
    # What answers in the end, the longest pause in seconds, the failures that cannot be helped.
    end: str = "old code"
    pause: float = 2
    failures: frozenset[str] = frozenset()
    # Whether visitors ask nginx, as the template delivers it: for the template alone.
    nginx: bool = False


@dataclass
class Outcome:
    """What came of an event."""

    failures: Counter[str]
    requests: int
    pause: float
    end: str

    @property
    def failed(self) -> int:
        return self.failures.total()

    def reaches(self, event: Event) -> bool:
        """Whether the template may be satisfied with it."""
        return (
            set(self.failures) <= event.failures
            and self.pause <= event.pause
            and self.end == event.end
        )

    @staticmethod
    def median(outcomes: Sequence["Outcome"]) -> "Outcome":
        """Each number's median, but every kind of failure that ever came."""
        middle = round(statistics.median(outcome.failed for outcome in outcomes))
        kinds = sum((outcome.failures for outcome in outcomes), Counter[str]())
        return Outcome(
            Counter({kind: round(middle * n / kinds.total()) for kind, n in kinds.items()}),
            round(statistics.median(outcome.requests for outcome in outcomes)),
            statistics.median(outcome.pause for outcome in outcomes),
            Counter(outcome.end for outcome in outcomes).most_common()[0][0],
        )


def release(site: Running) -> None:
    site.way.release(f'SITE_NAME = "Release {time.time_ns()}"')


def release_of_broken_code(site: Running) -> None:
    site.way.release("import a_module_that_is_missing")


def restart_all(site: Running) -> None:
    site.way.supervisorctl("restart", "all")


def kill_a_master(site: Running) -> None:
    processes.kill(random.choice(site.masters()))


def kill_every_gunicorn(site: Running) -> None:
    for process in site.masters() + site.workers():
        processes.kill(process)


def kill_workers(site: Running) -> None:
    for _ in range(KILLS_PER_SECOND * SECONDS_OF_KILLS):
        time.sleep(1 / KILLS_PER_SECOND)
        if workers := site.workers():
            processes.kill(random.choice(workers))


def kill_supervisord(site: Running) -> None:
    site.kill_supervisord()
    time.sleep(BEFORE_NEW_START)
    site.start()


IN_FLIGHT = frozenset({"lost", "cut"})
EVENTS = (
    Event("A release of new code", release, end="new code", pause=0.15),
    Event("A release that cannot be imported", release_of_broken_code, pause=0.15),
    Event("`supervisorctl restart all`", restart_all),
    Event("`kill -9` of a gunicorn master", kill_a_master, failures=IN_FLIGHT),
    Event("`kill -9` of every gunicorn process", kill_every_gunicorn, failures=IN_FLIGHT),
    Event(f"{KILLS_PER_SECOND} `kill -9` of workers a second", kill_workers, failures=IN_FLIGHT),
    Event("The same behind nginx", kill_workers, nginx=True),
    Event("`kill -9` of every gunicorn process, behind nginx", kill_every_gunicorn, nginx=True),
    Event(
        "`kill -9` of supervisord, new start after a second",
        kill_supervisord,
        pause=BEFORE_NEW_START + 5,
        failures=IN_FLIGHT | {"refused"},
    ),
)


def outcome(event: Event, way: Way) -> Outcome:
    """Starts the site, lets the event happen under load, and looks at what is left."""
    with way.running() as site, ExitStack() as stack:
        port = stack.enter_context(behind_nginx(way)) if event.nginx else way.port
        before = heading(way.port)
        with visitors(port, "/") as visits:
            event.happen(site)
            time.sleep(OBSERVED)
            deadline = time.monotonic() + PATIENCE
            while not site.in_order() and time.monotonic() < deadline:
                time.sleep(0.2)
        after = heading(way.port)
        if not after:
            end = "down"
        elif site.has_orphans():
            end = "orphans serve"
        else:
            end = "old code" if after == before else "new code"
    way.write_code("")
    failures = Counter(visits.failures)
    return Outcome(failures, visits.requests, visits.pause, end)


def heading(port: int) -> str:
    """What the home page is called now; empty where it does not answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        [found] = re.findall("<h1[^>]*>(.*)</h1>", response.read().decode())
        return str(found) if response.status == 200 else ""
    except OSError:
        return ""
    finally:
        connection.close()
