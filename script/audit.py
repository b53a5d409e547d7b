"""Known weaknesses of the packages in the locks: see script/audit.

PyPI tells those of the Open Source Vulnerabilities database with each version of a package:
https://docs.pypi.org/api/json/
"""

import json
import re
import sys
import urllib.request
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
LOCKED = re.compile(r"^([\w.-]+)(?:\[[^]]*\])?==([^\s;]+)", re.MULTILINE)
ADDRESS = "https://pypi.org/pypi/{name}/{version}/json"
SECONDS = 30


class Package(NamedTuple):
    name: str
    version: str


class Answer(NamedTuple):
    """What PyPI says of a package: its weaknesses, or why it could not be asked."""

    package: Package
    weaknesses: list[str]
    failure: str = ""


def main() -> None:
    packages = sorted({package for lock in locks() for package in locked(lock.read_text())})
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, packages))
    print("\n".join(report(answers)))
    sys.exit(any(answer.weaknesses or answer.failure for answer in answers))


def locks() -> list[Path]:
    """Those of the template, and of the project that it makes."""
    return [*ROOT.glob("requirements*.txt"), *ROOT.glob("*cookiecutter*/**/requirements*.txt")]


def locked(lock: str) -> list[Package]:
    return [Package(*found) for found in LOCKED.findall(lock)]


def ask(package: Package) -> Answer:
    try:
        with urllib.request.urlopen(ADDRESS.format_map(package._asdict()), timeout=SECONDS) as page:
            return Answer(package, weaknesses(json.load(page)))
    except (OSError, HTTPException, ValueError, KeyError) as error:
        return Answer(package, [], str(error) or type(error).__name__)


def weaknesses(answer: dict[str, Any]) -> list[str]:
    """Each with its names, and the versions that mend it."""
    return [
        f"{', '.join([each['id'], *each['aliases']])}:"
        f" mended in {', '.join(each['fixed_in']) or 'no version'}"
        for each in answer["vulnerabilities"]
        if not each["withdrawn"]
    ]


def report(answers: Iterable[Answer]) -> list[str]:
    found, failed = [], []
    for (name, version), known, failure in answers:
        found += [f"{name} {version} has {each}" for each in known]
        failed += [f"{name} {version} ({failure})"] if failure else []
    if failed:
        text = f"PyPI could not be asked for {len(failed)} packages, which may have weaknesses:"
        found.append(f"{text} {', '.join(failed[:3])}{', …' if failed[3:] else ''}")
    return found or ["No package of the locks has a known weakness."]


if __name__ == "__main__":
    main()
