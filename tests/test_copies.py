"""deploy/backup.sh, restore.sh and manage.sh: no copy costs a good one, and a site comes back whole.

They run as root, where the tests do: what they leave behind must be the site's user's even so.
"""

import fcntl
import json
import os
import pty
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from load import visitors
from support.commands import ENVIRONMENT, PYTHON, USER, Run
from support.namespaces import namespace
from support.server import Server
from support.waiting import eventually, said_until

pytestmark = pytest.mark.slow

# Of each of the 16 visitors, in seconds.
REST = 0.1
SQL = """
import json, sqlite3, sys
database = sqlite3.connect(sys.argv[1])
with database:
    print(json.dumps(database.execute(sys.argv[2]).fetchall()))
"""


@pytest.fixture
def server(served: Server) -> Iterator[Server]:
    """The server, with no copies yet, and with one mark in its data."""
    eventually(lambda: len(served.masters()) == 2)
    mark(served, "first")
    yield served
    eventually(lambda: len(served.masters()) == 2)
    served.require_whole()
    sql(served, "DELETE FROM django_content_type WHERE app_label = 'mark'")
    for folder in ("backups", "media"):
        shutil.rmtree(served.path / "var" / folder, ignore_errors=True)


def sql(server: Server, statement: str) -> Any:
    """As the site's user, while the site goes on."""
    database = server.path / "var" / "db.sqlite3"
    return json.loads(server.run(PYTHON, "-c", SQL, str(database), statement).stdout)


def mark(server: Server, name: str) -> None:
    sql(server, f"INSERT INTO django_content_type (app_label, model) VALUES ('mark', '{name}')")


def marks(server: Server) -> list[str]:
    select = "SELECT model FROM django_content_type WHERE app_label = 'mark' ORDER BY model"
    return [name for (name,) in sql(server, select)]


def words(server: Server, name: str, *arguments: str) -> list[str]:
    return [str(server.path / "current" / "deploy" / name), *arguments]


def script(
    server: Server, name: str, *arguments: str, before: tuple[str, ...] = (), **options: Any
) -> Run:
    command = [*before, *words(server, name, *arguments)]
    options = {"env": ENVIRONMENT, "cwd": "/", "input": "", **options}
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def copy(server: Server) -> Path:
    """Makes one."""
    done = script(server, "backup.sh")
    assert (done.returncode, done.stderr) == (0, ""), done
    return Path(done.stdout.split()[-1])


def copies(server: Server) -> set[str]:
    return {path.name for path in (server.path / "var" / "backups").iterdir()}


def log(server: Server) -> list[str]:
    return (server.path / "var/log/backup.log").read_text().splitlines()


def upload(server: Server, name: str, text: str) -> Path:
    path = server.path / "var" / "media" / name
    write = 'mkdir -p "$(dirname "$1")"; printf %s "$2" >"$1"'
    server.run("sh", "-c", write, "sh", str(path), text)
    return path


def owner(path: Path) -> tuple[str, int]:
    return path.owner(), path.stat().st_mode & 0o777


def site_user() -> str:
    return USER if os.geteuid() == 0 else Path("/proc/self").owner()


@contextmanager
def held(lock: Path) -> Iterator[None]:
    """As another command holds it."""
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


# Copies


def test_a_copy_is_whole_and_the_site_users_own(server: Server) -> None:
    upload(server, "photos/cat.jpg", "cat")
    with visitors(server.port, rest=REST) as visits:
        whole = copy(server)
    assert visits.failures == {}
    assert owner(whole) == (site_user(), 0o700)
    assert {path.name for path in whole.iterdir()} == {"db.sqlite3", "env", "media"}
    for name in ("db.sqlite3", "env"):
        assert owner(whole / name) == (site_user(), 0o600)
    assert (whole / "env").read_text() == (server.path / ".env").read_text()
    assert (whole / "media/photos/cat.jpg").read_text() == "cat"
    with closing(sqlite3.connect(whole / "db.sqlite3")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert ("first",) in database.execute("SELECT model FROM django_content_type").fetchall()
    assert re.fullmatch(rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{{4}} {whole}", log(server)[-1])
    # And the night that comes makes the next one, as the site's user; cron mails what it says.
    time.sleep(1)
    python = "current/venv/bin/python"
    server.run(python, "current/deploy/server", "backup")
    assert len(copies(server)) == 2


def test_copies_of_seven_days_stay(server: Server) -> None:
    folder = server.path / "var" / "backups"
    first = copy(server)
    days = [f"2020-01-{day:02}" for day in range(1, 10)]
    for day in days:
        server.run("cp", "-r", str(first), str(folder / f"{day}-031700"))
        server.run("touch", str(folder / f"db-{day}.sqlite3"))  # as an older version named them
    time.sleep(1)
    second = copy(server)
    kept = {f"{day}-031700" for day in days[3:]} | {f"db-{day}.sqlite3" for day in days[3:]}
    assert copies(server) == {first.name, second.name} | kept


@pytest.fixture
def still(server: Server, folder: Path) -> Server:
    """The same site where it does not run, with a copy: what is damaged there hurts nobody."""
    copy(server)
    folder.chmod(0o711)  # mkdtemp's folders are root's alone
    path = folder / "still"
    left_out = shutil.ignore_patterns("venvs", "static", "*.sock")
    shutil.copytree(server.path, path, symlinks=True, ignore=left_out)
    if os.geteuid() == 0:
        subprocess.run(["chown", "-hR", f"{USER}:", path], check=True)
    return Server(path)


def remove_database(var: Path) -> None:
    for file in var.glob("db.sqlite3*"):
        file.unlink()


def empty_database(var: Path) -> None:
    remove_database(var)
    (var / "db.sqlite3").touch()


def no_database(var: Path) -> None:
    remove_database(var)
    (var / "db.sqlite3").write_text("This is no database, and never was one. " * 100)


def damage_database(var: Path) -> None:
    """SQLite copies such pages as they are."""
    (whole,) = (var / "backups").iterdir()
    remove_database(var)
    content = bytearray((whole / "db.sqlite3").read_bytes())
    content[3 * 4096 : 6 * 4096] = os.urandom(3 * 4096)
    (var / "db.sqlite3").write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (remove_database, "unable to open database file"),
        (empty_database, "no such table: django_migrations"),
        (no_database, "file is not a database"),
        (damage_database, ""),
    ],
)
def test_a_copy_that_fails_costs_no_good_one(still: Server, damage: Any, reason: str) -> None:
    before, var = copies(still), still.path / "var"
    damage(var)
    if os.geteuid() == 0:
        for file in var.glob("db.sqlite3*"):
            shutil.chown(file, USER)
    files = {path.name for path in var.iterdir()} | {"mails", "backup.failed"}
    done = script(still, "backup.sh")
    assert done.returncode == 1
    refusal = f"The data of {still.path} could not be copied ({reason}"
    assert done.stderr.startswith(refusal)
    assert done.stderr.endswith("The copies that are there stay.\nIt failed: Copying the data.\n")
    assert (copies(still), {path.name for path in var.iterdir()}) == (before, files)
    # Nobody takes it here: it waits for supervisord.
    mail = (var / "mails" / "backup").read_text()
    assert refusal in mail
    assert f"The last copy: {var}/backups/{max(before)}\n" in mail
    assert owner(var / "mails") == (site_user(), 0o700)
    assert refusal in log(still)[-1]


def test_a_full_disk_costs_no_good_copy(still: Server, as_root: None) -> None:
    mount = 'cp -a "$1/var/backups" "$1/kept"; mount -t tmpfs -o size=200k tmpfs "$1/var/backups"; '
    mount += 'cp -a "$1/kept/." "$1/var/backups"; chown --reference="$1/kept" "$1/var/backups"'
    with namespace(still.path, mount, str(still.path)) as inside:

        def run(*command: str) -> Run:
            return subprocess.run([*inside, *command], capture_output=True, text=True, check=False)

        before = run("ls", "var/backups").stdout
        done = run(*words(still, "backup.sh"))
        assert done.returncode == 1
        assert "could not be copied (" in done.stderr
        assert run("ls", "var/backups").stdout == before


def test_two_copies_at_once(server: Server) -> None:
    with held(server.path / "var" / "backup.lock"):
        done = script(server, "backup.sh")
    refusal = f"Another copy is being made in {server.path}/var/backups: wait until it has ended.\n"
    assert (done.returncode, done.stderr) == (1, refusal)


# Restoring


def restore(server: Server, *arguments: str, **options: Any) -> Run:
    return script(server, "restore.sh", *arguments, **options)


def test_a_site_comes_back_whole(server: Server) -> None:
    """Nobody is refused meanwhile; what was there is kept, and can be put back as well."""
    upload(server, "photos/cat.jpg", "cat")
    whole = copy(server)
    mark(server, "second")
    dog = upload(server, "photos/dog.jpg", "dog")
    cat = server.path / "var/media/photos/cat.jpg"
    cat.unlink()
    shown = restore(server)
    assert re.fullmatch(rf"{whole.name}  0\.\d MB\nTo put one back: \S+ NAME\n", shown.stdout)

    with visitors(server.port, rest=REST) as visits:
        done = restore(server, whole.name, input="y\n")
    assert (done.returncode, done.stderr) == (0, ""), done
    assert visits.failures == {}
    assert marks(server) == ["first"]
    assert (cat.read_text(), dog.read_text()) == ("cat", "dog")
    assert owner(cat) == (site_user(), 0o644)
    assert owner(server.path / "var/db.sqlite3") == (site_user(), 0o640)
    replaced = f"{server.path}/var/backups/{max(copies(server))}"
    assert done.stdout.endswith(f"What it had before is in {replaced}.\n")
    assert owner(Path(replaced)) == (site_user(), 0o700)

    assert restore(server, replaced, "--yes").returncode == 0
    assert marks(server) == ["first", "second"]

    remove_database(server.path / "var")
    assert restore(server, whole.name, "--yes").returncode == 0
    assert marks(server) == ["first"]
    assert restore(server).stdout.count(" MB\n") == 3


def test_a_copy_made_by_cp_comes_back_with_its_last_changes(server: Server, folder: Path) -> None:
    """As long as the site runs, they stand in a file beside the database."""
    with closing(sqlite3.connect(server.path / "var" / "db.sqlite3")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM django_content_type").fetchone()  # nobody empties the -wal
        mark(server, "fresh")
        for name in ("db.sqlite3", "db.sqlite3-wal"):
            shutil.copy(server.path / "var" / name, folder)
    assert b"fresh" not in (folder / "db.sqlite3").read_bytes()
    sql(server, "DELETE FROM django_content_type WHERE app_label = 'mark'")
    assert restore(server, str(folder / "db.sqlite3"), "--yes").returncode == 0
    assert marks(server) == ["first", "fresh"]


def test_what_cannot_come_back_changes_nothing(server: Server, folder: Path) -> None:
    whole, var = copy(server), server.path / "var"
    before = (var / "db.sqlite3").stat().st_ino

    def refusal(*arguments: str, **options: Any) -> str:
        done = restore(server, *arguments, **options)
        assert done.returncode == 1
        assert copies(server) == {whole.name}
        assert (var / "db.sqlite3").stat().st_ino == before
        assert not (var / "restored").exists()
        return done.stderr

    assert refusal(whole.name, input="n\n") == "Nothing has changed.\n"
    assert refusal(whole.name) == "Nothing has changed.\n"  # nobody there to answer
    nothing = f"{folder} is no copy: there is no {folder}/db.sqlite3. deploy/restore.sh shows"
    assert refusal(str(folder), "--yes").startswith(nothing)
    damaged = folder / "db.sqlite3"
    damaged.write_bytes((whole / "db.sqlite3").read_bytes()[:50_000])
    assert refusal(str(folder), "--yes").startswith(f"{folder} is damaged, or no copy of a site (")
    damaged.write_bytes(b"")
    assert "no such table: django_migrations" in refusal(str(folder), "--yes")
    with held(server.path / "release.lock"):
        assert f"is under way in {server.path}" in refusal(whole.name, "--yes")


def test_copies_may_lie_on_another_disk(server: Server, as_root: None) -> None:
    mount = 'mount -t tmpfs -o size=20m tmpfs "$1/var/backups"; chown "$2:" "$1/var/backups"'
    var = server.path / "var"
    server.run("mkdir", "-p", "var/backups")
    with namespace(server.path, mount, str(server.path), site_user()) as inside:

        def run(*command: str) -> Run:
            return subprocess.run([*inside, *command], capture_output=True, text=True, check=False)

        assert run(*words(server, "backup.sh")).returncode == 0
        mark(server, "second")
        name = run("ls", "var/backups").stdout.strip()
        done = run(*words(server, "restore.sh", name, "--yes"))
        assert (done.returncode, done.stderr) == (0, "")
        assert marks(server) == ["first"]
        replaced = done.stdout.rpartition("is in ")[2].removesuffix(".\n")
        assert run("ls", replaced).stdout.split()[0] == "db.sqlite3"
        # What cannot be kept there is not lost.
        mark(server, "third")
        run("mount", "-o", "remount,ro", f"{var}/backups")
        assert run(*words(server, "restore.sh", name, "--yes")).returncode == 1
        assert marks(server) == ["first"]
        refused = run(*words(server, "restore.sh", name, "--yes")).stderr
        assert refused.startswith(f"{var}/replaced holds the data that an interrupted restore has")
    with closing(sqlite3.connect(var / "replaced" / "db.sqlite3")) as kept:
        select = "SELECT model FROM django_content_type WHERE model = 'third'"
        assert kept.execute(select).fetchone()
    shutil.rmtree(var / "replaced")


def test_a_restore_that_fails_is_undone(server: Server, folder: Path) -> None:
    """Here, the copy cannot be migrated."""
    shutil.copy(copy(server) / "db.sqlite3", folder)
    with closing(sqlite3.connect(folder / "db.sqlite3")) as database, database:
        database.execute("DELETE FROM django_migrations")
    mark(server, "second")
    before = copies(server)
    with visitors(server.port, rest=REST) as visits:
        done = restore(server, str(folder), "--yes")
    assert (done.returncode, visits.failures) == (1, {})
    assert "already exists" in done.stderr
    assert done.stderr.endswith("It failed: Replacing the database: visitors wait.\n")
    assert (marks(server), copies(server)) == (["first", "second"], before)
    assert not (server.path / "var" / "restored").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_restore_is_undone(server: Server, number: int) -> None:
    whole = copy(server)
    mark(server, "second")
    before = copies(server)
    command = words(server, "restore.sh", whole.name, "--yes")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, bufsize=0) as process:
        said_until(process, "visitors wait")
        process.send_signal(number)
        time.sleep(0.3)
        # Whoever is impatient does so again.
        process.send_signal(number)
        process.communicate()
    assert process.returncode == 130
    eventually(lambda: len(server.masters()) == 2)
    assert (marks(server), copies(server)) == (["first", "second"], before)


def test_what_a_restore_that_was_killed_has_stopped_runs_after_the_next(server: Server) -> None:
    whole = copy(server)
    with subprocess.Popen(words(server, "restore.sh", whole.name, "--yes")) as process:
        eventually((server.path / "var" / "restore.stopped").exists)
        process.kill()
    eventually(lambda: not server.masters())
    assert restore(server, whole.name, "--yes").returncode == 0
    assert len(server.masters()) == 2
    assert not (server.path / "var" / "restore.stopped").exists()


def test_a_site_that_does_not_come_back_is_told(server: Server) -> None:
    whole = copy(server)
    pid = int((server.path / "var" / "supervisord.pid").read_text())
    command = words(server, "restore.sh", whole.name, "--yes")
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, bufsize=0) as process:
        said = said_until(process, "visitors wait")
        os.kill(pid, signal.SIGKILL)
        refusal = process.communicate()[1]
    assert process.returncode == 1, (said, refusal)
    eventually(lambda: not server.masters())
    server.start()


def test_what_was_stopped_stays_so(server: Server) -> None:
    whole = copy(server)
    server.supervisorctl("stop", "gu-shop:master-2", check=True)
    assert restore(server, whole.name, "--yes").returncode == 0
    assert server.states()["gu-shop:master-2"][0] == "STOPPED"
    server.supervisorctl("start", "gu-shop:master-2", check=True)

    server.supervisorctl("shutdown")
    mark(server, "second")
    assert restore(server, whole.name, "--yes").returncode == 0
    assert (marks(server), server.states()) == (["first"], {})
    server.start()


def test_root_follows_no_link_of_the_sites(server: Server, folder: Path, as_root: None) -> None:
    """The site's user may place any in var/; what it may not read does not come to it so."""
    whole = copy(server)
    secret = folder / "secret"
    secret.mkdir(mode=0o700)
    shutil.copy(whole / "db.sqlite3", secret)
    (secret / "media").mkdir()
    (secret / "media" / "key").write_text("secret")
    link = server.path / "var" / "backups" / "2030-01-01-000000"
    server.run("ln", "-s", str(secret), str(link))
    done = restore(server, link.name, "--yes")
    assert (done.returncode, "Permission denied" in done.stderr) == (1, True)
    server.run("rm", str(link))
    # The administrator may take a copy from where only root reads; but no link in it.
    (secret / "media" / "link").symlink_to("/etc/shadow")
    assert restore(server, str(secret), "--yes").returncode == 0
    media = server.path / "var" / "media"
    assert {path.name for path in media.iterdir()} == {"key"}


def test_root_lends_its_groups_to_nothing(server: Server, folder: Path, as_root: None) -> None:
    secret = folder / "secret"
    secret.write_text("secret")
    secret.chmod(0o640)
    folder.chmod(0o755)
    server.run("mkdir", "-p", "var/media")
    server.run("ln", "-s", str(secret), "var/media/link")
    done = script(server, "backup.sh", before=("setpriv", "--groups", "0"))
    assert (done.returncode, "Permission denied" in done.stderr) == (1, True)


def test_without_a_site(server: Server) -> None:
    """Outside a release, the commands mean the site of deploy/server/facts.py."""
    refusal = "There is no site in /srv/shop: deploy/install.sh makes it.\n"
    for name in ("backup.sh", "restore.sh", "manage.sh"):
        command = [str(server.code / "deploy" / name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (1, refusal)


# Django's commands


def test_manage_runs_as_the_sites_user(server: Server) -> None:
    code = "import os; from django.conf import settings; print(os.getuid(), settings.RELEASE)"
    done = script(server, "manage.sh", "shell", "--no-imports", "-c", code)
    uid = (server.path / "var").stat().st_uid
    assert (done.stdout, done.stderr) == (f"{uid} {server.current}\n", "")
    done = script(server, "manage.sh", "nonsense")
    assert (done.returncode, "Unknown command: 'nonsense'" in done.stderr) == (1, True)
    json.loads(script(server, "manage.sh", "dumpdata", "contenttypes").stdout)


def test_manage_lends_nobody_the_terminal(server: Server, as_root: None) -> None:
    """Of root, who has led the output elsewhere."""
    code = "import os; os.open('/dev/tty', os.O_RDWR)"
    command = words(server, "manage.sh", "shell", "--no-imports", "-c", code)
    said = b""

    def read(descriptor: int) -> bytes:
        nonlocal said
        said += (data := os.read(descriptor, 1024))
        return data

    status = pty.spawn(["sh", "-c", 'exec "$@" >/dev/null', "sh", *command], read)
    assert os.waitstatus_to_exitcode(status) == 1
    assert b"No such device or address: '/dev/tty'" in said


def test_manage_asks_on_the_terminal(server: Server) -> None:
    """And the site has another than root's: it cannot type commands there."""
    said = b""

    def read(descriptor: int) -> bytes:
        nonlocal said
        said += (data := os.read(descriptor, 1024))
        if said.endswith(b"Who? "):
            os.write(descriptor, b"zoe\n")
        return data

    code = "import os; print(input('Who? '), os.ttyname(0), os.getuid())"
    command = words(server, "manage.sh", "shell", "--no-imports", "-c", code)
    status = pty.spawn(command, read, lambda _: b"")
    assert os.waitstatus_to_exitcode(status) == 0
    assert re.search(rb"\nzoe /dev/pts/\d+ \d+\r\n", said)
