"""What was measured, as Markdown: tables, and the targets that are met or missed."""

import os
import platform
import re
import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import postgresql
from costs import WRITERS, Load, Machine, Writing, median
from events import EVENTS, Event, Outcome

PAGES = {
    "/": "the home page",
    "/healthz": "`/healthz`, which reads the database",
}
DATABASES = "SQLite", "PostgreSQL"
DATABASE_PAGES = {"/reads": "the page that reads", "/writes": "the page that writes"}

HEAD = """\
# Three ways to run the same site

`bench/compare.py` has written this. The site is the one that the template generates; only the
deployment differs:

- **A**: the recipe of 2010. supervisord starts one gunicorn with three sync workers (`[program:…]`);
  new code is written over the old, then `supervisorctl restart`.
- **A+**: the same with gunicorn's access log; only where requests are counted in processor time.
- **B**: as A, but the gunicorn master gets a HUP instead of the restart.
- **C**: the template as delivered. New code comes by `deploy/release.sh`.

The ways take turns; figures are medians. 16 clients ask for a page all the time, where nothing else
is said: half of them open a connection for each request, half keep theirs.
"""
EVENTS_TEXT = """
Failed requests of all, the longest time in which nobody got a page, and what answered in the end. A
client whose request failed waits 0.1 s. *lost*, *cut*: the request was in progress in a process that
was killed, or closed its connection before the response was whole. *orphans serve*: gunicorns that no
supervisord knows any more, while the new one cannot have their port. *down*: nothing answered in the
end, until somebody repairs it.
"""
PAGES_TEXT = """
CPU: of all the site's processes, supervisord included, for each request. Of the pages that an
anonymous visitor sees, `/healthz` alone makes a query (the form of `/admin/login/` makes none).
A+ and C log each request, A does not; behind nginx, which logs it, C does not either. nginx is the
template's, before each of them; its own processor time is not counted. The slow requests take four
seconds each.
"""
DATABASES_TEXT = """
The recipe and the template, each with both databases. One page reads (a query of two tables, 20
rows, listed by Django), the other writes (`update_or_create` of one row of 100: a transaction that
reads, then writes). CPU: of the site's processes and of PostgreSQL's, which is Debian's as it comes,
asked by a UNIX socket. PostgreSQL answers when what was written is on the disk; SQLite, set as here
(WAL, `synchronous=NORMAL`), before: after a power failure the last of it may be missing.
"""
SQLITE_TEXT = f"""
{WRITERS} processes save rows by Django (`update_or_create`: a transaction that reads, then writes), for
{{seconds:.0f}} s each.
"""

SITES_TEXT = """
PSS of all processes, supervisord included, and seconds from the start to the first 200 of the last.
In A one supervisord has a program for each site; in C each site has a supervisord of its own.
"""


@dataclass
class Results:
    """Everything, by the tables' rows and the ways' letters; each list holds the rounds."""

    machine: str
    outcomes: dict[tuple[str, str], list[Outcome]] = field(
        default_factory=lambda: defaultdict(list)
    )
    loads: dict[tuple[str, str], list[Load]] = field(default_factory=lambda: defaultdict(list))
    loads_behind_nginx: dict[tuple[str, str], list[Load]] = field(
        default_factory=lambda: defaultdict(list)
    )
    # By database, page and way.
    databases: dict[tuple[str, str, str], list[Load]] = field(
        default_factory=lambda: defaultdict(list)
    )
    # Milliseconds, p99, of quick requests beside slow ones.
    beside_slow_ones: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    latencies: dict[tuple[int, str], list[Load]] = field(default_factory=lambda: defaultdict(list))
    machines: dict[tuple[int, str], list[Machine]] = field(
        default_factory=lambda: defaultdict(list)
    )
    # With Django's default settings (True), with the template's (False).
    writing: dict[bool, Writing] = field(default_factory=dict)
    load_averages: list[float] = field(default_factory=list)

    def outcome(self, event: Event, way: str) -> Outcome:
        return Outcome.median(self.outcomes[event.name, way])

    def load(self, page: str, way: str, nginx: bool = False) -> Load:
        return median((self.loads_behind_nginx if nginx else self.loads)[page, way])

    def with_database(self, database: str, page: str, way: str) -> Load:
        return median(self.databases[database, page, way])

    def latency(self, clients: int, way: str) -> Load:
        return median(self.latencies[clients, way])

    def side_by_side(self, sites: int, way: str) -> Machine:
        return median(self.machines[sites, way])

    @property
    def client_numbers(self) -> list[int]:
        return sorted({clients for clients, _ in self.latencies})

    @property
    def site_numbers(self) -> list[int]:
        return sorted({sites for sites, _ in self.machines})

    def load_average(self) -> str:
        """What else the machine did, and this bench itself: at several moments."""
        middle = statistics.median(self.load_averages)
        return f"{middle:.1f} (from {min(self.load_averages):.1f} to {max(self.load_averages):.1f})"

    def markdown(self) -> str:
        """The whole file."""
        return "\n".join(
            (
                HEAD,
                self.machine + f", load average {self.load_average()}\n",
                "## Targets of C\n",
                *table(("", "measured", "target", ""), self.targets()),
                "\n## What visitors notice",
                EVENTS_TEXT,
                *table(("", "A", "B", "C"), self.event_rows()),
                "\n## Requests",
                PAGES_TEXT,
                *table(("", "A", "A+", "C", "C / A+"), self.page_rows()),
                "\n## Both databases",
                DATABASES_TEXT,
                *table(("", "A+", "C", "C / A+"), self.database_rows()),
                "\n## SQLite",
                SQLITE_TEXT.format(seconds=self.writing[True].seconds),
                *table(("", "Django's default settings", "template"), self.sqlite_rows()),
                "\n## More clients\n\nMilliseconds until the home page was there: median, p99.\n",
                *table(("clients", "A", "C"), self.client_rows()),
                "\n## More sites on the machine",
                SITES_TEXT,
                *table(("sites", "A", "C", "PSS, C / A"), self.site_rows()),
                "",
            )
        )

    def targets(self) -> Iterable[tuple[str, ...]]:
        for event in EVENTS:
            done = self.outcome(event, "C")
            but = f", but {' or '.join(sorted(event.failures))}" if event.failures else ""
            target = f"0 failed{but}; at most {seconds(event.pause)}; {event.end}"
            yield event.name, told(done), target, verdict(done.reaches(event))
        for nginx, where in ((False, ""), (True, " behind nginx")):
            for page, name in PAGES.items():
                c, a = self.load(page, "C", nginx), self.load(page, "A+", nginx)
                ratio = c.cpu / a.cpu
                title = f"CPU per request of {name}{where}, C / A+"
                yield title, f"{ratio:.2f}", "1.05", verdict(ratio <= 1.05)
                ratio = c.requests_per_second / a.requests_per_second
                title = f"Requests per second of {name}{where}, C / A+"
                yield title, f"{ratio:.2f}", "0.95", verdict(ratio >= 0.95)
        for database in DATABASES:
            for page, name in DATABASE_PAGES.items():
                c, a = (self.with_database(database, page, way) for way in ("C", "A+"))
                ratio = c.whole_cpu / a.whole_cpu
                title = f"CPU per request of {name}, {database}, C / A+"
                yield title, f"{ratio:.2f}", "1.05", verdict(ratio <= 1.05)
                ratio = c.p99 / a.p99
                title = f"p99 of {name}, {database}, C / A+"
                yield title, f"{ratio:.2f}", "1.50", verdict(ratio <= 1.5)
        ratio = max(
            self.latency(n, "C").p99 / self.latency(n, "A").p99 for n in self.client_numbers
        )
        title = "p99 of the home page, C / A, the worst of all numbers of clients"
        yield title, f"{ratio:.2f}", "1.50", verdict(ratio <= 1.5)
        ratio = self.side_by_side(1, "C").memory / self.side_by_side(1, "A").memory
        yield "PSS, C / A", f"{ratio:.2f}", "0.85", verdict(ratio <= 0.85)
        plain, ours = self.writing[True], self.writing[False]
        ratio = ours.commits_per_second / plain.commits_per_second
        yield "SQLite commits, C / default", f"{ratio:.1f}", "3.0", verdict(ratio >= 3)
        yield "SQLite, locked errors", f"{ours.locked}", "0", verdict(ours.locked == 0)

    def event_rows(self) -> Iterable[tuple[str, ...]]:
        for event in EVENTS:
            done = (self.outcomes[event.name, way] for way in "ABC")
            yield event.name, *(told(Outcome.median(each)) if each else "" for each in done)

    def page_rows(self) -> Iterable[tuple[str, ...]]:
        for nginx, where in ((False, ""), (True, ", behind nginx")):
            for page, name in PAGES.items():
                ways = [self.load(page, way, nginx) for way in ("A", "A+", "C")]
                pages = [way.requests_per_second for way in ways]
                yield f"Requests per second, {name}{where}", *compared(pages, "{:.0f}")
                cpu = [way.cpu for way in ways]
                yield f"CPU per request, {name}{where}", *compared(cpu, "{:.2f} ms")
                p99 = [way.p99 for way in ways]
                yield f"p99, {name}{where}", *compared(p99, "{:.0f} ms")
        a, c = (statistics.median(self.beside_slow_ones[way]) for way in "AC")
        yield "p99 of quick requests beside four slow ones", f"{a:.0f} ms", "", f"{c:.0f} ms", ""

    def database_rows(self) -> Iterable[tuple[str, ...]]:
        for page, name in DATABASE_PAGES.items():
            for database in DATABASES:
                ways = [self.with_database(database, page, way) for way in ("A+", "C")]
                where = f"{name}, {database}"
                pages = [way.requests_per_second for way in ways]
                yield f"Requests per second, {where}", *compared(pages, "{:.0f}")
                cpu = [way.whole_cpu for way in ways]
                yield f"CPU per request, {where}", *compared(cpu, "{:.2f} ms")
                if database == "PostgreSQL":
                    cpu = [way.database_cpu for way in ways]
                    yield f"CPU per request, {where}: its own", *compared(cpu, "{:.2f} ms")
                p99 = [way.p99 for way in ways]
                yield f"p99, {where}", *compared(p99, "{:.0f} ms")

    def sqlite_rows(self) -> Iterable[tuple[str, ...]]:
        both = self.writing[True], self.writing[False]
        yield "Commits per second", *(f"{done.commits_per_second:.0f}" for done in both)
        yield (
            "Failed: database is locked",
            *(f"{done.locked} ({done.locked_share:.0%})" for done in both),
        )

    def client_rows(self) -> Iterable[tuple[str, ...]]:
        for clients in self.client_numbers:
            both = (self.latency(clients, way) for way in "AC")
            yield str(clients), *(f"{done.latency:.1f}, {done.p99:.0f}" for done in both)

    def site_rows(self) -> Iterable[tuple[str, ...]]:
        for sites in self.site_numbers:
            a, c = self.side_by_side(sites, "A"), self.side_by_side(sites, "C")
            cells = (f"{done.memory:.0f} MiB, {done.seconds_to_start:.1f} s" for done in (a, c))
            yield str(sites), *cells, f"{c.memory / a.memory:.2f}"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterable[str]:
    """The lines of a Markdown table."""
    yield line(head)
    yield "|---" * len(head) + "|"
    yield from map(line, rows)


def line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def told(outcome: Outcome) -> str:
    """A cell of the first table."""
    kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(outcome.failures.items()))
    failed = f"**{outcome.failed:,}** of {outcome.requests:,}" + (f" ({kinds})" if kinds else "")
    return f"{failed}; {seconds(outcome.pause)}; {outcome.end}"


def seconds(time: float) -> str:
    return f"{time:.1f} s" if time >= 1 else f"{1000 * time:.0f} ms"


def compared(values: list[float], form: str) -> list[str]:
    """The cells of the values, and the last one's ratio to the one before it."""
    return [*map(form.format, values), f"{values[-1] / values[-2]:.2f}"]


def verdict(reached: bool) -> str:
    return "met" if reached else "**missed**"


def describe_machine(template: Path) -> str:
    """Processors, kernel, and the versions that the sites run with."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    lock = next(template.glob("*/requirements.txt")).read_text()
    versions = re.findall(r"(?m)^(django|gunicorn|psycopg|supervisor)==(\S+)", lock)
    return ", ".join(
        (
            f"{os.cpu_count()} processors ({cpu[1] if cpu else platform.machine()})",
            f"Linux {platform.release()}",
            f"Python {platform.python_version()}",
            *(f"{name} {version}" for name, version in versions),
            postgresql.version(),
        )
    )
