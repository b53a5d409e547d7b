"""The site on every Python that it promises, as far as they are on this machine."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.commands import pythons
from support.project import Site
from support.waiting import eventually

pytestmark = pytest.mark.slow

PYTHONS = pythons("3.10", "3.11", "3.12", "3.13")


def test_there_is_a_python_to_test() -> None:
    print("Tested on Python", ", ".join(PYTHONS))
    assert PYTHONS


@pytest.mark.parametrize("version", PYTHONS)
def test_the_site_works(version: str, make_site: Callable[..., Site], tmp_path: Path) -> None:
    python = tmp_path / "python3"
    python.symlink_to(PYTHONS[version])
    site = make_site(python)
    assert site.python("--version").stdout.startswith(f"Python {version}.")
    site.python("-W", "error::SyntaxWarning", "manage.py", "test")
    site.start()
    eventually(lambda: len(site.masters()) == 2)
    assert site.get("/").status == 200
