"""Compares three ways to run the same site; writes bench/RESULTS.md and pictures/bench.svg.

    script/bench compare [--quick]

It wants a user other than root: no site runs as root. On standard error a dot is a second. --quick
measures once and briefly, and writes nothing: the table goes to standard output.
"""

import argparse
import os
import sys
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import costs
import postgresql
from events import EVENTS, outcome
from plot import plot
from progress import in_temporary_folder, note
from results import DATABASE_PAGES, PAGES, Results, describe_machine
from sites import ROOT, Shell, by_template, copy_template, free_port, shells
from ways import (
    SLOW_SECONDS,
    Article,
    ArticleWithHUP,
    ArticleWithLog,
    Template,
    Way,
    behind_nginx,
)


@dataclass(frozen=True)
class Effort:
    """How often and how long each is measured."""

    rounds: int
    load_rounds: int
    growth_rounds: int
    load_seconds: float
    writing_seconds: float
    clients: tuple[int, ...]
    sites: tuple[int, ...]


FULL = Effort(3, 5, 2, 3, 60, (1, 2, 4, 8, 16, 32, 64), (1, 2, 4, 8))
QUICK = Effort(1, 1, 1, 1, 3, (1, 16, 64), (1, 2))


def measure(work: Path, effort: Effort) -> Results:
    """Makes the sites; then the ways take turns, so that what else the machine does meets all."""
    shell = shells(work)[1].having(TMPDIR=str(work))
    template = copy_template(work / "template")
    results = Results(describe_machine(template))
    note("making the sites of the three ways")
    article, with_hup, with_log, ours = (
        make(shell.in_folder(make.letter), template)
        for make in (Article, ArticleWithHUP, ArticleWithLog, Template)
    )
    measure_events(results, effort, [article, with_hup, ours])
    measure_load(results, effort, [article, with_log, ours])
    measure_databases(results, effort, shell, template, [with_log, ours])
    measure_growth(results, effort, shell, template)
    for plain in (True, False):
        options = ["--plain"] if plain else []
        results.writing[plain] = costs.write(shell, article.code, effort.writing_seconds, *options)
        note(f"SQLite, {'default' if plain else 'template'}: {results.writing[plain]}")
    return results


def measure_events(results: Results, effort: Effort, ways: list[Way]) -> None:
    """Lets each event happen to each way."""
    for _ in range(effort.rounds):
        for event in EVENTS:
            results.load_averages.append(os.getloadavg()[0])
            for way in ways if not event.nginx else ways[-1:]:
                done = outcome(event, way)
                results.outcomes[event.name, way.letter].append(done)
                note(f"{event.name}, {way.letter}: {done}")


def measure_load(results: Results, effort: Effort, ways: list[Way]) -> None:
    """The sites run at the same time and are asked in turn."""
    with ExitStack() as stack:
        sites = [stack.enter_context(way.running()) for way in ways]
        for site in sites:
            costs.warm_up(site.way.port)
        ports = [stack.enter_context(behind_nginx(way)) for way in ways]
        for _ in range(effort.load_rounds):
            for path in PAGES:
                for site, port in zip(sites, ports, strict=True):
                    done = costs.load(site, path, effort.load_seconds)
                    results.loads[path, site.way.letter].append(done)
                    note(f"{path}, {site.way.letter}: {done}")
                    done = costs.load(site, path, effort.load_seconds, port=port)
                    results.loads_behind_nginx[path, site.way.letter].append(done)
                    note(f"{path} behind nginx, {site.way.letter}: {done}")
            for site in (site for site in sites if site.way.letter in "AC"):
                p99 = costs.p99_beside_slow_ones(site, 2 * SLOW_SECONDS)
                results.beside_slow_ones[site.way.letter].append(p99)
                note(f"beside slow ones, {site.way.letter}: p99 {p99:.0f} ms")
        for _ in range(effort.growth_rounds):
            for clients in effort.clients:
                for site in (site for site in sites if site.way.letter in "AC"):
                    done = costs.load(site, "/", effort.load_seconds, clients)
                    results.latencies[clients, site.way.letter].append(done)
                    note(f"{clients} clients, {site.way.letter}: {done}")


def measure_databases(
    results: Results, effort: Effort, shell: Shell, template: Path, with_sqlite: list[Way]
) -> None:
    """Runs the same with PostgreSQL beside them, and asks all in turn for what reads and what writes."""
    shell = shell.in_folder("postgresql")
    with postgresql.server(shell) as server, ExitStack() as stack:
        note("making the sites with PostgreSQL")
        theirs = shell.having(PGHOST=str(shell.folder))
        with_postgresql = [
            make(theirs.in_folder(make.letter), template, "database=postgresql")
            for make in (ArticleWithLog, Template)
        ]
        sites = [
            (database, pid, stack.enter_context(way.running()))
            for database, pid, ways in (
                ("SQLite", None, with_sqlite),
                ("PostgreSQL", server, with_postgresql),
            )
            for way in ways
        ]
        for _, _, site in sites:
            costs.warm_up(site.way.port)
        for _ in range(effort.load_rounds):
            for page in DATABASE_PAGES:
                for database, pid, site in sites:
                    done = costs.load(site, page, effort.load_seconds, database=pid)
                    results.databases[database, page, site.way.letter].append(done)
                    note(f"{page}, {database}, {site.way.letter}: {done}")


def measure_growth(results: Results, effort: Effort, shell: Shell, template: Path) -> None:
    """Runs sites side by side: the same projects, in the one way and in the other."""
    note("making the sites that run side by side")
    ports = [free_port() for _ in range(max(effort.sites))]
    projects = [
        by_template(template, shell.in_folder(f"site-{port}"), port).folder for port in ports
    ]
    for _ in range(effort.growth_rounds):
        for number in effort.sites:
            for letter, machine in (("A", costs.article_machine), ("C", costs.template_machine)):
                done = machine(shell, projects[:number], ports[:number])
                results.machines[number, letter].append(done)
                note(f"{number} sites, {letter}: {done}")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="once and briefly; write no file")
    quick = parser.parse_args().quick
    if os.geteuid() == 0:
        sys.exit("bench/compare.py runs sites, and no site runs as root: use another user.")

    def compare(work: Path) -> None:
        with redirect_stdout(sys.stderr):
            results = measure(work, QUICK if quick else FULL)
        if quick:
            print(results.markdown())
            return
        (ROOT / "bench" / "RESULTS.md").write_text(results.markdown())
        (ROOT / "pictures" / "bench.svg").write_text(plot(results))

    in_temporary_folder(compare)


if __name__ == "__main__":
    main()
