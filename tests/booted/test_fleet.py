"""What holds where several Debian servers share a site, as the chapter on it says."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.commands import require
from support.debian import load, require_root
from support.fleet import Fleet, fleet
from support.git import git
from support.project import Project
from support.waiting import eventually

DOMAIN = "club.example.org"
OFFLINE = ("--offline", "--wheelhouse", "/wheels")
SITES = ("first", "second", "third")
FOLDER = "/srv/club"
MEDIA = f"{FOLDER}/var/media"
# The same uploads everywhere, from the next boot on, too.
SHARE = f"""
mkdir -p {MEDIA}
chown www-data: {MEDIA} /shared
echo '/shared {MEDIA} none bind 0 0' >>/etc/fstab
mount {MEDIA}
"""

pytestmark = [pytest.mark.booted, pytest.mark.slow]


@pytest.fixture(scope="module")
def club(bake: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    require_root()
    for tool in ("ssh", "ssh-keygen", "ssh-keyscan", "ip"):
        require(tool)
    project = bake(
        project_slug="club",
        domain_name=DOMAIN,
        install_dir=FOLDER,
        database="postgresql",
        tasks="celery",
    )
    shared = tmp_path_factory.mktemp("shared")
    suites = {"first": "trixie", "second": "trixie", "third": "bookworm"}
    with fleet(project, DOMAIN, shared, **suites) as made:
        git(project.path, "init", "--quiet", "--initial-branch", "main")
        made.write_inventory(front="first", database="first", tasks="first", web="second third")
        made.commit()
        made.servers("status", check=False)
        yield made


def test_what_is_missing_is_said(club: Fleet) -> None:
    club.write_inventory(front="first", web="second third")
    done = club.servers("install", *OFFLINE, check=False)
    assert "several servers that share a site need one in [database], too." in done.stderr
    club.write_inventory(front="first", database="first", tasks="first", web="second third")
    done = club.servers("install", *OFFLINE, check=False)
    assert "second does not have the uploads of first" in done.stderr, done
    assert done.returncode != 0


def test_it_is_installed_from_nothing(club: Fleet) -> None:
    for machine in club.machines.values():
        machine.run("sh", "-ec", SHARE)
    done = club.servers("install", *OFFLINE)
    assert done.stdout.endswith("\nfirst: done\nsecond: done\nthird: done\n"), done.stdout
    assert "club" in club.get()
