"""Measures what the README says of speed, against a site made by hand, and prints the ratios.

    script/bench figures [--rounds N]

Packages are fetched beforehand: what is measured talks to 127.0.0.1 alone. On standard error a dot
is a second; the table goes to standard output. A noisy disk is left out with TMPDIR=/dev/shm before
the command.
"""

import argparse
import json
import os
import platform
import re
import resource
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

from progress import in_temporary_folder
from sites import (
    Shell,
    by_hand,
    by_template,
    copy_template,
    free_port,
    generate,
    shells,
    start_seconds,
)

# A generation takes less than a second: it can be repeated more often than a whole site.
GENERATIONS_PER_ROUND = 4

# What is measured, what it is compared with, and the highest ratio of the medians.
TARGETS = (
    ("template, generation", "minimal template, generation", 2.0),
    ("template, pip", "by hand, pip", 0.75),
    ("template, uv", "by hand, pip", 0.4),
    ("template, start", "by hand, start", 0.4),
)
LEGEND = """
generation: CPU seconds of cookiecutter and its hooks; the minimal template has ten files, no hook
pip, uv: wall seconds from the first command to the first 200, nothing downloaded
start: wall seconds from supervisord to the first 200, in a site that has run before"""


def site_seconds(make: Callable[[Shell, int], Shell], parent: Shell) -> tuple[float, float]:
    """Wall seconds from nothing to a first 200, and those of a second start of the same site."""
    with parent.in_new_folder() as shell:
        port = free_port()
        begin = time.perf_counter()
        site = make(shell, port)
        made = time.perf_counter() - begin
        first = start_seconds(site, port)
        return made + first, start_seconds(site, port)


def generation_seconds(template: Path, parent: Shell) -> float:
    """CPU seconds, user and system, of one generation with its hooks."""
    with parent.in_new_folder() as shell:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        generate(template, shell)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def write_minimal_template(folder: Path) -> Path:
    """A template of ten files with one answer and no hook."""
    project = folder / "{{cookiecutter.project_slug}}"
    project.mkdir(parents=True)
    (folder / "cookiecutter.json").write_text(json.dumps({"project_slug": "site"}))
    for number in range(10):
        (project / f"{number}.txt").write_text("{{ cookiecutter.project_slug }}\n")
    return folder


def measure(work: Path, rounds: int) -> None:
    """Prepares everything, measures in turn and prints machine, table and legend."""
    times: dict[str, list[float]] = defaultdict(list)

    def note(name: str, seconds: float) -> None:
        times[name].append(seconds)
        print(f" {name}: {seconds:.2f} s", file=sys.stderr, flush=True)

    with_pip, with_uv = shells(work)
    template, minimal = copy_template(work / "ours"), write_minimal_template(work / "minimal")
    lock = next(template.glob("*/requirements.txt"))
    packages = re.findall(r"(?m)^(?:django|gunicorn|supervisor)==\S+", lock.read_text())
    ours, theirs = partial(by_template, template), partial(by_hand, packages)

    download = (sys.executable, "-m", "pip", "download", "--no-deps", "--dest", "wheels")
    Shell(work, dict(os.environ)).run(*download, "-r", lock)
    note("to warm uv's cache", site_seconds(ours, with_uv)[0])
    with_pip = with_pip.having(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(work / "wheels"))
    with_uv = with_uv.having(UV_OFFLINE="1")

    for _ in range(rounds):
        for _ in range(GENERATIONS_PER_ROUND):
            note("minimal template, generation", generation_seconds(minimal, with_pip))
            note("template, generation", generation_seconds(template, with_pip))
        for name, make, installer, shell in (
            ("by hand", theirs, "pip", with_pip),
            ("template", ours, "pip", with_pip),
            ("template", ours, "uv", with_uv),
        ):
            in_all, start = site_seconds(make, shell)
            note(f"{name}, {installer}", in_all)
            note(f"{name}, start", start)

    programs = ", ".join([f"cookiecutter=={version('cookiecutter')}", *packages])
    print(f"{os.cpu_count()} CPUs, Python {platform.python_version()}, {programs}\n")
    print(f"| {'Medians':29} | {'Compared with':39} | Ratio | Target |         |")
    print(f"|{'-' * 31}|{'-' * 41}|------:|-------:|---------|")
    for ours_name, theirs_name, target in TARGETS:
        print(row(times, ours_name, theirs_name, target))
    print(LEGEND)


def row(times: dict[str, list[float]], ours: str, theirs: str, target: float) -> str:
    """A line of the table: the two medians in seconds, their ratio, the target met or missed."""
    mine, other = statistics.median(times[ours]), statistics.median(times[theirs])
    cells = f"| {ours:20} {mine:6.2f} s | {theirs:30} {other:6.2f} s | {mine / other:5.2f}"
    return f"{cells} | {target:6.2f} | {'met' if mine / other <= target else 'missed':7} |"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured")
    rounds = parser.parse_args().rounds
    in_temporary_folder(lambda work: measure(work, rounds))


if __name__ == "__main__":
    main()
