"""What holds where several Debian servers share a site, as the chapter on it says.

The tests stand in the order of the servers' life, and each needs those before it.
"""

import json
import re
import socket
import ssl
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from support.commands import Run, require
from support.debian import Load, load, require_root
from support.fleet import Fleet, fleet
from support.git import git
from support.project import Project
from support.tasks import NUMBER, QUEUE, add_task
from support.waiting import eventually

DOMAIN = "club.example.org"
OFFLINE = ("--offline", "--wheelhouse", "/wheels")
FOLDER = "/srv/club"
MEDIA = f"{FOLDER}/var/media"
VISITORS, REST = 16, 0.5
GROUPS = {"front": "first", "database": "first", "tasks": "first", "web": "first second"}
# The same uploads everywhere, after a boot, too.
SHARE = f"""
mkdir -p {MEDIA}
chown www-data: {MEDIA} /shared
echo '/shared {MEDIA} none bind 0 0' >>/etc/fstab
mount {MEDIA}
"""
CERTIFY = f"""
folder=/etc/letsencrypt/live/{DOMAIN}
mkdir -p $folder
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={DOMAIN} \
    -addext subjectAltName=DNS:{DOMAIN} -keyout $folder/privkey.pem -out $folder/fullchain.pem
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
    add_task(project.path)
    git(project.path, "init", "--quiet", "--initial-branch", "main")
    suites = {"first": "trixie", "second": "bookworm"}
    with fleet(project, DOMAIN, tmp_path_factory.mktemp("shared"), **suites) as made:
        made.write_inventory(GROUPS)
        made.commit()
        yield made


def change(club: Fleet) -> str:
    """The code has changed; returns the name of its commit."""
    with (club.project.path / "pages/static/pages/site.css").open("a") as style:
        style.write("/* changed */\n")
    return club.commit()


def upstream(club: Fleet) -> dict[str, bool]:
    """By address, whether the front asks there."""
    path = club.machines["first"].root / "etc/nginx/snippets/gu-club-front-upstream.conf"
    return {
        address: state != "down"
        for address, state in re.findall(r"server (\S+):8080 (.*);", path.read_text())
    }


@contextmanager
def visitors(club: Fleet) -> Iterator[Load]:
    """None of them is lost."""
    with load(club.network, club.request, VISITORS, REST) as visiting:
        yield visiting
    assert visiting.failures == []
    assert visiting.answers


def test_what_is_missing_is_said(club: Fleet) -> None:
    club.write_inventory({"web": "first second"})
    said = club.servers("release", check=False).stderr
    assert "they need the groups [front] and [database], too: docs/fleet.md" in said
    club.write_inventory({**GROUPS, "database": ""})
    said = club.servers("install", check=False).stderr
    assert "several servers that share a site need one in [database], too." in said
    club.write_inventory({**GROUPS, "tasks": "second", "web": "second"})
    said = club.servers("--limit", "first", "manage", "check", check=False).stderr
    assert "inventory.ini: no server that is meant runs the site." in said
    club.write_inventory(GROUPS, private=False)
    said = club.servers("install", check=False).stderr
    assert "first private=10.0.0.1" in said
    club.write_inventory(GROUPS)
    said = club.servers("release", check=False).stderr
    assert "deploy/servers.env is missing" in said
    # It can be seen only where the site is.
    done = club.servers("install", *OFFLINE, check=False)
    assert "second does not have the uploads of first" in done.stderr, done
    assert done.returncode != 0


def test_it_is_installed_from_nothing(club: Fleet) -> None:
    for machine in club.machines.values():
        machine.run("sh", "-ec", SHARE)
    done = club.servers("install", *OFFLINE)
    assert done.stdout.endswith("\nfirst: done\nsecond: done\n"), done.stdout
    assert club.get()
    assert upstream(club) == {"10.77.0.10": True, "10.77.0.11": True}


def test_secrets_are_the_same_and_for_nobody_else(club: Fleet) -> None:
    shared = club.project.path / "deploy/servers.env"
    assert stat.S_IMODE(shared.stat().st_mode) == 0o600
    assert git(club.project.path, "ls-files", "--", str(shared)) == ""
    secrets = dict(line.split("=", 1) for line in shared.read_text().splitlines()[1:])
    for machine in club.machines.values():
        env = (machine.root / "srv/club/.env").read_text().splitlines()
        assert f"SECRET_KEY={secrets['SECRET_KEY']}" in env
        settings = machine.root / "srv/club/servers.json"
        assert stat.S_IMODE(settings.stat().st_mode) == 0o600
        has_passwords = {"database_password", "broker_password"} <= {
            *json.loads(settings.read_text())
        }
        assert has_passwords == (machine is club.machines["first"])


def test_nothing_listens_but_for_the_fleet(club: Fleet) -> None:
    private = {"first": {8080, 5432, 6379}, "second": {8080}}
    for name, machine in club.machines.items():
        found = {port for host, port in machine.listeners() if host == club.addresses[name]}
        assert found == private[name]
        everywhere = {port for host, port in machine.listeners() if host in ("0.0.0.0", "any")}
        assert everywhere <= {22, 80}
    # The visitors' way leads through the front alone; who is no server of the site gets nothing.
    assert (
        club.network.inside(lambda: said_by("10.77.0.11", 8080, b"GET / HTTP/1.0\r\n\r\n")) == b""
    )
    assert b"NOAUTH" in club.network.inside(lambda: said_by("10.77.0.10", 6379, b"PING\r\n"))
    psql = ("psql", "--no-psqlrc", "--command=SELECT 1")
    url = "postgresql://club:wrong@10.77.0.10/club?sslmode=require"
    done = club.machines["second"].run(*psql, url, check=False)
    assert "password authentication failed" in done.stderr
    done = club.machines["second"].run(*psql, url.replace("require", "disable"), check=False)
    assert "no pg_hba.conf entry" in done.stderr


def said_by(address: str, port: int, words: bytes) -> bytes:
    with socket.create_connection((address, port), 10) as connection:
        connection.sendall(words)
        return connection.recv(1000)


def test_a_release_rolls_and_a_broken_one_goes_back(club: Fleet) -> None:
    """1,000 tasks meanwhile; each is done once."""
    database = club.machines["first"]
    database.sql("CREATE TABLE done (number integer)", "club")
    database.sql("ALTER TABLE done OWNER TO club", "club")
    [before] = club.commits("first")
    with visitors(club):
        club.servers(
            "manage", "shell", "--no-imports", "-c", QUEUE.format(number=NUMBER, seconds=0.01)
        )
        commit = change(club)
        done = club.servers("release", *OFFLINE)
        assert done.stdout.endswith("\nfirst: done\nsecond: done\n"), done.stdout
        assert club.commits("first", "second") == [commit] * 2
        change(club)
        with club.machines["second"].holding(f"{FOLDER}/release.lock"):
            failed = club.servers("release", *OFFLINE, check=False)
        assert club.commits("first", "second") == [commit] * 2
        with club.machines["first"].holding(f"{FOLDER}/release.lock"):
            stayed = club.servers("rollback", check=False)
        assert club.commits("first", "second") == [commit] * 2
        club.servers("rollback")
        assert club.commits("first", "second") == [before] * 2
    assert failed.returncode != 0
    assert "Another release or a restore is under way in /srv/club" in failed.stderr
    assert "second could not do its part: see above." in failed.stderr
    assert failed.stdout.endswith("\nfirst: went back\nsecond: failed\n"), failed
    assert stayed.stdout.endswith("\nsecond: went back\nfirst: failed\n"), stayed
    count = "SELECT count(*), count(DISTINCT number) FROM done"
    eventually(lambda: database.sql(count, "club") == f"{NUMBER}|{NUMBER}", 120)


def test_a_machine_goes_and_comes_back(club: Fleet) -> None:
    second = club.machines["second"]
    with visitors(club) as visiting:
        second.lose_power()
        # What was asked of it is asked again once the front has waited for it.
        time.sleep(30)
        began = time.monotonic()
        for _ in range(20):
            club.get()
        assert time.monotonic() - began < 20
        visiting.longest = 0
        commit = change(club)
        refused = club.servers("release", *OFFLINE, check=False)
        assert "second does not answer, or has no site yet: nothing was changed." in refused.stderr
        done = club.servers("--limit", "all:!second", "release", *OFFLINE)
        assert f"\nsecond does not serve {commit}: no visitor gets there until" in done.stdout
        assert done.stdout.endswith("\nfirst: done\n"), done.stdout
        second.boot()
        assert club.commits("first") == [commit] != club.commits("second")
        assert upstream(club) == {"10.77.0.10": True, "10.77.0.11": False}
        club.servers("install", *OFFLINE)
        assert club.commits("first", "second") == [commit] * 2
        assert upstream(club) == {"10.77.0.10": True, "10.77.0.11": True}
    # On a machine that is gone, a request would wait for 25.
    assert visiting.longest < 5


def test_a_machine_is_taken_away_and_added(club: Fleet) -> None:
    with visitors(club):
        club.write_inventory({**GROUPS, "web": "first"})
        club.servers("install", *OFFLINE)
        assert upstream(club) == {"10.77.0.10": True}
        rules = club.machines["first"].sql("SELECT address FROM pg_hba_file_rules")
        assert "10.77.0.11" not in rules
        club.write_inventory(GROUPS)
        club.servers("install", *OFFLINE)
        assert upstream(club) == {"10.77.0.10": True, "10.77.0.11": True}


def test_the_database_goes_and_the_front_reboots(club: Fleet) -> None:
    """They are well again without a hand."""
    first = club.machines["first"]
    assert status(club) == 200
    first.run("service", "postgresql", "stop")
    # systemd waits for postgresql.service alone, which is a name for those of its versions.
    eventually(lambda: status(club) == 503, 30)
    first.run("service", "postgresql", "start")
    eventually(lambda: status(club) == 200, 30)
    first.shut_down()
    assert not club.answers()
    # Without the front, nobody knows what serves: the last commit is not for one of them alone.
    [before], _ = club.commits("second"), change(club)
    for command in ("install", "release", "rollback"):
        refused = club.servers(command, check=False)
        assert refused.returncode == 1
        assert refused.stderr.startswith("first: ssh does not answer there"), refused
    assert club.commits("second") == [before]
    first.boot()
    eventually(club.answers, 60)
    eventually(lambda: status(club) == 200, 60)


def status(club: Fleet) -> int:
    """Of a page whose visitor brings a session: it stands in the database."""
    cookie = f"sessionid={'a' * 32}"
    return club.network.inside(lambda: club.response("/admin/login/", Cookie=cookie))[0]


def test_the_front_speaks_https(club: Fleet) -> None:
    first = club.machines["first"]
    first.run("sh", "-ec", CERTIFY)
    club.servers("install", *OFFLINE)
    context = ssl.create_default_context()
    context.load_verify_locations(first.root / f"etc/letsencrypt/live/{DOMAIN}/fullchain.pem")

    def ask(secure: bool) -> bytes:
        with socket.create_connection(("10.77.0.10", 443 if secure else 80), 10) as plain:
            plain = context.wrap_socket(plain, server_hostname=DOMAIN) if secure else plain
            plain.sendall(f"GET / HTTP/1.0\r\nHost: {DOMAIN}\r\n\r\n".encode())
            return plain.recv(1000)

    assert b" 301 " in club.network.inside(lambda: ask(False))
    secure = club.network.inside(lambda: ask(True))
    assert b" 200 " in secure
    for machine in club.machines.values():
        assert "HTTPS=on" in (machine.root / "srv/club/.env").read_text().splitlines()


def test_the_other_commands(club: Fleet) -> None:
    done: Run = club.servers("status")
    assert "server 10.77.0.11:8080" in done.stdout
    assert done.stdout.count("gu-club:master-1") == 2
    assert "The copy is /srv/club/var/backups/" in club.servers("backup").stdout
    said = club.servers("run", "hostname -I").stdout
    assert all(address in said for address in club.addresses.values())
