"""Measures a site on several servers: how a release and the visitors fare with 1, 2 and 3 in [web].

    script/bench servers [--rounds N]

As root: it boots five Debian machines, which share this one's processors and its disk. So the pages
per second show what the way through the front costs, not what more machines would give; what each
part needs of a processor tells that. On standard error a dot is a second.
"""

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from progress import in_temporary_folder, note

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from support.debian import Machine, load
from support.fleet import Fleet, fleet
from support.git import git
from support.project import Project
from support.template import cookiecutter

DOMAIN = "club.example.org"
ANSWERS = (
    *("project_slug=club", f"domain_name={DOMAIN}", "install_dir=/srv/club", "language=en"),
    *("database=postgresql", "tasks=celery"),
)
OFFLINE = ("--offline", "--wheelhouse", "/wheels")
WEB = ("web1", "web2", "web3")
# Of a closed loop: each asks again once it has its answer.
VISITORS, SECONDS = 16, 15
SHARE = "mkdir -p /srv/club/var; chown www-data: /srv/club/var /shared; ln -s /shared /srv/club/var/media"
# Ticks of the processor that what runs in there has had, and its children that have ended.
TICKS = "cat /proc/[0-9]*/stat 2>/dev/null | sed 's/.*) //' | awk '{n += $12 + $13 + $14 + $15} END {print n}'"
HEAD = """\
# A site on several servers

`script/bench servers` has written this: one machine as the front, one with PostgreSQL and Redis, and
up to three that give the pages. All are booted on one machine and share its processors, so that
pages per second cannot grow with them; what a page needs of a processor, at the front and behind it,
tells how many of the one the other can feed.
"""


def measure(work: Path) -> None:
    rounds = arguments().rounds
    note("making the site")
    made = cookiecutter(work, str(ROOT), "--no-input", *ANSWERS)
    if made.returncode:
        sys.exit(made.stderr)
    project, shared = Project(work / "club"), work / "shared"
    shared.mkdir()
    git(project.path, "init", "--quiet", "--initial-branch", "main")
    suites = dict.fromkeys(("front", "data", *WEB), "trixie")
    note("booting the machines")
    with fleet(project, DOMAIN, shared, **suites) as club:
        for machine in club.machines.values():
            machine.run("sh", "-ec", SHARE)
        rows = [row(club, number, rounds) for number in (1, 2, 3)]
    print(HEAD)
    print(
        f"{os.cpu_count()} processors, Python {platform.python_version()}, {rounds} rounds, medians"
    )
    print(f"{VISITORS} visitors, who ask for the home page again and again\n")
    print(
        "| machines in `[web]` | release (s) | pages/s | ms of a processor per page: front | web |"
    )
    print("|---|---|---|---|---|")
    for number, found in enumerate(rows, start=1):
        print(f"| {number} | {' | '.join(f'{value:.3g}' for value in found)} |")


def row(club: Fleet, number: int, rounds: int) -> list[float]:
    """Seconds of a release, pages per second, and milliseconds of a processor that a page takes."""
    web = WEB[:number]
    groups = {"front": "front", "database": "data", "tasks": "data", "web": " ".join(web)}
    club.write_inventory(groups)
    club.commit()
    note(f"{number} in [web]: installing")
    club.servers("install", *OFFLINE)
    found = []
    for _ in range(rounds):
        with (club.project.path / "pages/static/pages/site.css").open("a") as style:
            style.write("/* changed */\n")
        club.commit()
        began = time.monotonic()
        club.servers("release", *OFFLINE)
        release = time.monotonic() - began
        found.append([release, *visit(club, {name: club.machines[name] for name in web})])
        note(f"{number} in [web]: {found[-1]}")
    return [statistics.median(values) for values in zip(*found, strict=True)]


def visit(club: Fleet, web: Mapping[str, Machine]) -> list[float]:
    front = club.machines["front"]
    before = ticks(front), sum(map(ticks, web.values()))
    with load(club.network, club.request, VISITORS, 0) as visitors:
        time.sleep(SECONDS)
    if visitors.failures:
        sys.exit(f"Failed: {visitors.failures[0]}")
    after = ticks(front), sum(map(ticks, web.values()))
    pages, tick = len(visitors.answers), 1000 / os.sysconf("SC_CLK_TCK")
    costs = [(end - begin) * tick / pages for begin, end in zip(before, after, strict=True)]
    return [pages / SECONDS, *costs]


def ticks(machine: Machine) -> int:
    return int(machine.run("sh", "-c", TICKS).stdout)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    in_temporary_folder(measure)
