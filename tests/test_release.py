"""deploy/release.sh under load: what is released, refused, taken back, interrupted.

One server serves all tests of this file; each starts with both masters running. As root, its files
belong to another user, who runs the releases too: supervisord does not run as root.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from load import visitors
from support.commands import AS_USER, SYSTEM, USER, Run, pythons, require
from support.namespaces import namespace
from support.project import Site
from support.server import REST, SELDOM, Change, Server, rest
from support.waiting import eventually, said_until
from support.wheels import tiny_wheel

pytestmark = pytest.mark.slow

# The newest that this machine has and the servers do not run on.
OTHER_PYTHONS = dict([*pythons("3.10", "3.12", "3.13").items()][-1:])
STEPS = [
    "Copying the code",
    "Making the venv, or taking the one that fits",
    "Rehearsal: copying the database",
    "Rehearsal: checking the settings",
    "Rehearsal: migrating the copy of the database",
    "Rehearsal: collecting the static files",
    "Rehearsal: asking for the home page",
    "Migrating the database",
    "Publishing the static files",
    "Restarting the site's programs, one after the other",
    "Asking the site which release serves",
]
REHEARSAL, TURN = STEPS[6], STEPS[9]
LACKS_VALUE = "lacks its value, or takes none; deploy/release.sh --help lists the options."
BUSY = "Another release or a restore is under way in "
# The machine that tests is shared, and its clock ticks for others too.
LONGEST_PAUSE = 2.0


def steps(run: Run) -> list[str]:
    """The steps that a release showed, without their dots and what it said in between."""
    return [line.rstrip(" .") for line in run.stdout.splitlines() if line.rstrip(" .") in STEPS]


@pytest.fixture
def server(served: Server) -> Server:
    """The server with both masters running."""
    eventually(lambda: len(served.masters()) == 2)
    return served


# Changes of the code


def replace(file: str, old: str, new: str) -> Change:
    def change(code: Path) -> None:
        text = (code / file).read_text()
        assert old in text
        (code / file).write_text(text.replace(old, new))

    return change


def append(file: str, text: str) -> Change:
    def change(code: Path) -> None:
        with (code / file).open("a") as opened:
            opened.write(text)

    return change


def migration(name: str, operation: str) -> Change:
    def change(code: Path) -> None:
        (code / "pages" / "migrations" / f"{name}.py").write_text(
            "from django.db import migrations\n\n\n"
            f"class Migration(migrations.Migration):\n    operations = [{operation}]\n"
        )

    return change


def title(text: str) -> Change:
    return replace("pages/templates/pages/home.html", '<h1 dir="auto">', f'<h1 dir="auto">{text} ')


def stylesheet(site: Site) -> str:
    found = re.search(r'href="(/static/pages/site\.\w+\.css)"', site.get("/").text)
    assert found
    return found[1]


# What works


def test_the_first_release_says_how_to_start(served: Server) -> None:
    assert served.first
    assert (served.first.stderr, steps(served.first)) == ("", STEPS[:-2])
    start = re.search(
        r"^supervisord does not run\. To start it, as \w+: (.+)$", served.first.stdout, re.MULTILINE
    )
    assert start
    assert start[1] == f"{served.path}/current/venv/bin/supervisord -c {served.config}"
    for name, mode in ((".env", 0o600), ("web_interface.conf", 0o600)):
        assert (served.path / name).stat().st_mode & 0o777 == mode
    # What its developers have for themselves is not there.
    assert (served.path / "current" / "deploy" / "local.conf").read_text() == ""
    assert not (served.path / "current" / "venv" / "bin" / "ruff").exists()
    assert re.search(r"^SECRET_KEY=[\w-]{64}$", (served.path / ".env").read_text(), re.MULTILINE)
    # Django's warnings about http are there to be read.
    assert "(security.W008)" in served.first.stdout


def test_its_commands_need_no_options(server: Server) -> None:
    done = server.run("env", "--chdir=current", "venv/bin/supervisorctl", "status")
    assert done.stdout.count("RUNNING") == 3


def test_new_code_and_back(server: Server) -> None:
    """No request fails, and pages that are open in a browser keep their static files."""
    old, old_style = server.current, stylesheet(server)
    config = replace("deploy/supervisord.conf", "stopwaitsecs = 40", "stopwaitsecs = 41")
    table = migration("0001_table", 'migrations.RunSQL("CREATE TABLE basket (id integer)")')
    css = append("pages/static/pages/site.css", "/* new */\n")
    # Whatever the site leaves there stops no release.
    server.run("touch", "var/static/manifests/mine")
    with visitors(server.port, rest=rest(server.path)) as visits:
        done = server.release(title("New"), table, css, config)
    server.run("rm", "var/static/manifests/mine")
    assert (visits.failures, steps(done), done.stderr) == ({}, STEPS, "")
    assert visits.pause < LONGEST_PAUSE
    assert (server.current > old, server.previous) == (True, old)
    # Django's warnings of the release before are not said again.
    assert "(security.W008)" not in done.stdout
    server.require_whole()
    assert '<h1 dir="auto">New ' in server.get("/").text
    assert "/* new */" in server.get(stylesheet(server)).text
    assert "/* new */" not in server.get(old_style).text
    assert (
        "deploy/supervisord.conf has changed, and supervisord reads it only when told"
        in done.stdout
    )

    with visitors(server.port, rest=REST) as visits:
        done = server.release(options=("--rollback",))
    assert (visits.failures, steps(done), done.stderr) == ({}, STEPS[-2:], "")
    assert visits.pause < LONGEST_PAUSE
    assert server.current == old
    server.require_whole()
    assert '<h1 dir="auto">New ' not in server.get("/").text
    assert stylesheet(server) == old_style
    assert "Migrations are not undone" in done.stdout


def test_it_goes_back_to_any_release(server: Server) -> None:
    """One after the other, or by name; --list tells where it is."""
    first, middle = sorted(server.releases)
    assert (server.current, server.previous) == (first, "")
    # As an older template left it.
    (server.path / "previous").symlink_to(f"releases/{middle}")
    server.release(title("Last"))
    assert not (server.path / "previous").is_symlink()
    last = server.current

    def listed() -> list[list[str]]:
        *lines, version = server.release(options=("--list",)).stdout.splitlines()
        assert version == f"Made by {(server.code / 'TEMPLATE_VERSION').read_text().strip()}"
        return [[line.split()[0], " ".join(line.split()[3:])] for line in lines]

    assert listed() == [[first, "--rollback goes there"], [middle, ""], [last, "serves"]]
    server.release(options=("--rollback",))
    assert server.current == first
    assert listed() == [[first, "serves"], [middle, ""], [last, ""]]
    assert refusal(server.release(options=("--rollback",), check=False)) == (
        f"{first} is the oldest release in {server.path}: there is nothing to go back to."
    )
    assert refusal(server.release(options=("--rollback", first), check=False)) == (
        f"{first} is the one that serves."
    )
    assert refusal(server.release(options=("--rollback", "wrong"), check=False)) == (
        f"There is no release wrong in {server.path}; there are: {first}, {middle}, {last}."
    )
    done = server.release(options=("--rollback", middle))
    assert done.stdout.splitlines()[-1].startswith(f"{middle} is in place")
    server.require_whole()
    # Its folder knows what served before it, however it came back; where that has gone, the next older one counts.
    assert listed() == [[first, "--rollback goes there"], [middle, "serves"], [last, ""]]
    (server.path / "current" / ".previous").unlink()
    assert listed()[0] == [first, "--rollback goes there"]


BESIDE = """
[program:idle]
command = sh -c 'cd "%(here)s/.." && exec sleep 1000'
[program:beside]
command = sleep 1000
[program:stopped]
command = sleep 1000
directory = %(here)s/..
autostart = false
[program:broken]
command = false
directory = %(here)s/..
startretries = 0
"""
# manage.py work: takes a task out of the queue, and ends it before it obeys TERM.
WORK = """
import signal, time
from pathlib import Path

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    def handle(self, **options):
        ends = []
        signal.signal(signal.SIGTERM, lambda *_: ends.append(True))
        queue = Path("var/queue")
        while not ends:
            for task in sorted(queue.glob("*.todo"))[:1]:
                text = task.read_text()
                task.unlink()
                time.sleep(1)
                task.with_suffix(".done").write_text(text + Path.cwd().name)
            time.sleep(0.05)
"""
COMMAND = "pages/management/commands/work.py"


def with_worker(code: Path) -> None:
    """The one that deploy/supervisord.conf has, without its semicolons, and some others."""
    config = code / "deploy" / "supervisord.conf"
    before, section, worker = config.read_text().partition(";[program:worker]")
    assert section
    config.write_text(before + re.sub("(?m)^;", "", section + worker) + BESIDE)
    (code / COMMAND).parent.mkdir(parents=True, exist_ok=True)
    (code / COMMAND).write_text(WORK)


def test_every_program_takes_the_new_code(server: Server) -> None:
    """And none loses what it does: nor what it would do next, while it restarts."""
    queue = server.path / "var" / "queue"
    server.run("mkdir", str(queue))

    def add(number: int) -> None:
        for task in range(number):
            server.run("sh", "-c", f"echo task >{queue}/{time.monotonic_ns()}-{task}.todo")

    def where() -> dict[str, str]:
        """Program → the folder where it runs."""
        states = server.states().items()
        return {
            name.partition(":")[0]: Path(f"/proc/{pid}/cwd").readlink().name
            for name, (state, pid) in states
            if state == "RUNNING"
        }

    old = server.current
    done = server.release(with_worker)
    known = "worker: available"
    assert known in done.stdout
    assert "update. For all else" in done.stdout
    add(1)
    server.supervisorctl("update", check=True)
    eventually(lambda: "worker" in where())
    eventually(lambda: server.states()["broken:broken"][0] == "FATAL")
    pid = server.states()["beside:beside"][1]
    with_program = server.current

    # While a task is under way, and others wait
    add(3)
    eventually(lambda: len([*queue.glob("*.todo")]) < 3)
    done = server.release(with_worker)
    assert "broken" in done.stdout
    assert "FATAL" in done.stdout
    assert known not in done.stdout
    new = server.current
    assert where() == {"gu-shop": new, "worker": new, "idle": new, "beside": where()["beside"]}
    _, alerts = server.alerts()
    assert Path(f"/proc/{alerts}/cwd").readlink().name == new
    assert server.states()["beside:beside"][1] == pid
    assert server.states()["stopped:stopped"][0] == "STOPPED"
    add(1)
    eventually(lambda: len([*queue.glob("*.done")]) == 5 and not [*queue.glob("*.todo")], 30)
    by = {path.read_text() for path in queue.glob("*.done")}
    assert by == {f"task\n{with_program}", f"task\n{new}"}

    # A worker that cannot start takes all of it back.
    broken = replace(COMMAND, "ends = []", "raise SystemExit(1)")
    done = server.release(with_worker, broken, check=False)
    assert "worker did not come up" in done.stderr
    assert done.stderr.endswith(f"{new} serves as before.\n")
    assert where()["worker"] == new

    # The service's reload is the same.
    pid = server.states()["worker:worker"][1]
    server.run(
        "current/venv/bin/python", "-B", "current/deploy/server", "health", "reload", check=False
    )
    assert server.states()["worker:worker"][1] not in (0, pid)

    # Back to what had no worker: it is said, and nothing breaks.
    done = server.release(options=("--rollback", old))
    assert "worker: disappeared" in done.stdout
    server.supervisorctl("update", check=True)
    shutil.rmtree(queue)
    # The gunicorns restart with it where their settings have changed, too.
    eventually(lambda: len(server.masters()) == 2)
    server.require_whole()


NOTE = """
from django.db import models


class Note(models.Model):
    text = models.CharField(max_length=9)
"""
SUBTITLE = '    subtitle = models.CharField(max_length=9, blank=True, default=""{default})\n'
# What the old code does when a visitor saves.
SAVE = "from pages.models import Note; Note.objects.create(text='x'); print(Note.objects.count())"
CREATE = 'migrations.CreateModel("Note", [("id", models.BigAutoField(primary_key=True)), ("text", models.CharField(max_length=9))])'
REMOVE = 'migrations.RemoveField("note", "subtitle")'


def notes(fields: str, *operations: str) -> Change:
    """An app with this model, and these migrations one after the other."""

    def change(code: Path) -> None:
        (code / "pages" / "models.py").write_text(NOTE + fields)
        folder = code / "pages" / "migrations"
        for number, operation in enumerate(operations):
            before = f'("pages", "m{number - 1}")' if number else ""
            (folder / f"m{number}.py").write_text(
                "from django.db import migrations, models\n\n\n"
                "class Migration(migrations.Migration):\n"
                f"    dependencies = [{before}]\n    operations = [{operation}]\n"
            )

    return change


def add(field: str) -> str:
    return f'migrations.AddField("note", "subtitle", {field.partition(" = ")[2].strip()})'


def test_the_rehearsal_warns_of_what_the_old_release_cannot_live_with(
    new_server: Callable[..., Server],
) -> None:
    """It names table and column, and is right: the old release fails there, or does not."""
    server = new_server()

    def saves() -> bool:
        """Whether the release before can still save."""
        old = server.path / "releases" / server.previous
        command = (f"{old}/venv/bin/python", f"{old}/manage.py", "shell", "-c", SAVE)
        return server.run(*command, check=False).returncode == 0

    def warned(fields: str, *operations: str) -> list[str]:
        said = server.release(notes(fields, *operations)).stdout
        return [line for line in said.splitlines() if line.startswith("Warning: ")]

    server.release(notes("", CREATE))
    unsafe, safe = SUBTITLE.format(default=""), SUBTITLE.format(default=', db_default=""')
    (warning,) = warned(unsafe, CREATE, add(unsafe))
    before = f"{server.previous}, which serves, "
    assert warning.startswith(f"Warning: pages_note.subtitle must have a value, and {before}")
    assert warning.endswith("Give the field db_default, or null=True.")
    assert not saves()
    # A column that goes, in one release
    operations = [CREATE, add(unsafe), REMOVE]
    (warning,) = warned("", *operations)
    before = f"{server.previous}, which serves, "
    assert warning.startswith(f"Warning: pages_note.subtitle goes from the database, and {before}")
    assert not saves()
    # And in two, after one that came with a default of the database's, beside a new table
    operations += [add(safe), 'migrations.RunSQL("CREATE TABLE tag (id integer)")']
    assert warned(safe, *operations) == []
    assert saves()
    operations.append(f"migrations.SeparateDatabaseAndState(state_operations=[{REMOVE}])")
    assert warned("", *operations) == []
    assert saves()
    operations.append('migrations.RunSQL("ALTER TABLE pages_note DROP COLUMN subtitle")')
    assert warned("", *operations) == []
    assert saves()
    operations.append('migrations.DeleteModel("Note")')
    (warning,) = warned("", *operations)
    assert warning.startswith("Warning: pages_note goes from the database, and ")


def test_the_rehearsal_has_the_uploads(server: Server) -> None:
    """What it does to them, it does to its own."""
    media = server.path / "var" / "media"
    server.run("mkdir", "-p", str(media / "2026"))
    server.run("sh", "-c", f"echo photo >{media}/2026/photo.txt")
    server.run("cp", "-r", str(media / "2026" / "photo.txt"), str(media / "2026" / "kept.txt"))
    (media / "2026" / "roots.txt").write_text("root's")
    reads = """
def home(request, home=home):
    media = settings.BASE_DIR / "var" / "media" / "2026"
    assert (media / "kept.txt").read_text() == "photo\\n"
    if "rehearsal" in str(media.resolve()):
        for name in ("photo.txt", "roots.txt"):
            (media / name).unlink(missing_ok=True)
    return home(request)
"""
    server.release(append("pages/views.py", reads))
    server.require_whole()
    assert server.get("/").status == 200
    names = {path.name for path in (media / "2026").iterdir()}
    assert names == {"kept.txt", "photo.txt", "roots.txt"}
    shutil.rmtree(media)
    server.release(options=("--rollback",))


def test_a_failed_release_of_a_site_that_is_down_says_so(server: Server) -> None:
    server.supervisorctl("shutdown")
    eventually(lambda: not server.answers())
    done = server.release(append("shop/settings.py", "import no_such\n"), check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        f"{server.current} stays in place, but the site does not answer: "
    )
    server.start()


def test_an_env_that_lacks_a_name_is_told_the_line(server: Server) -> None:
    """One that is commented out is decided; of a required one that is missing, the server's .env is named."""
    env = server.path / ".env"
    before = env.read_text()
    env.write_text(before + "#NEW=\n")
    new = append(".env.example", "NEW=7\nOTHER=8\n")
    done = server.release(new, append("shop/settings.py", 'env("OTHER")\n'), check=False)
    assert f"{env} lacks what .env.example has." in done.stdout
    assert "\n  OTHER=8\n" in done.stdout
    assert "NEW" not in done.stdout
    assert f"\n{env} lacks OTHER: " in f"\n{done.stderr}"
    env.write_text(before)


def test_other_requirements(server: Server, short_folder: Path) -> None:
    """A package that the code imports; the releases before keep the venv that they have."""
    wheels = short_folder / "wheels"
    wheels.mkdir()
    lock = append("requirements.txt", tiny_wheel(wheels))
    wheels.chmod(0o755)
    venv = (server.path / "current" / "venv").resolve()
    with visitors(server.port, rest=SELDOM) as visits:
        server.release(
            lock, append("pages/views.py", "import tiny\n"), options=("--wheelhouse", str(wheels))
        )
    assert (visits.failures, venv.exists()) == ({}, True)
    assert visits.pause < LONGEST_PAUSE
    assert (server.path / "current" / "venv").resolve() != venv
    server.require_whole()


def test_nginx_may_read_static_files_and_nobody_else_the_data(server: Server) -> None:
    """Also where static is a link that root has made: nginx follows those of the site's user."""
    static = server.path / "var" / "static"
    elsewhere = server.path.parent / "elsewhere"
    shutil.move(static, elsewhere)
    static.symlink_to(elsewhere)
    try:
        server.release(append("pages/static/pages/site.css", "/* more */\n"))
        assert static.lstat().st_uid == static.stat().st_uid
        paths = [static.resolve(), *elsewhere.rglob("*")]
        assert "site.css.gz" in {path.name for path in paths}
        wrong = [path for path in paths if path.stat().st_mode & 0o777 not in (0o644, 0o755)]
        assert wrong == []
        for file in (server.path / "var").glob("db.sqlite3*"):
            assert file.stat().st_mode & 0o137 == 0
    finally:
        static.unlink()
        shutil.move(elsewhere, static)


@pytest.mark.parametrize("version", OTHER_PYTHONS)
def test_another_python(server: Server, short_folder: Path, version: str) -> None:
    """An upgrade of Python: the next release runs on it, and the way back leads to the old one."""
    source = Path(OTHER_PYTHONS[version]).resolve().parents[1]
    upgraded = short_folder / "python"
    # Where the site's user can run it; without what takes the most space.
    left_out = shutil.ignore_patterns("test", "site-packages", "config-*", "*.a")
    shutil.copytree(source, upgraded, symlinks=True, ignore=left_out)
    (upgraded / "lib" / f"python{version}" / "site-packages").mkdir()
    binary = upgraded / "bin" / f"python{version}"
    subprocess.run([require("patchelf"), "--set-rpath", "$ORIGIN/../lib", binary], check=True)

    def runs() -> set[bool]:
        """Whether the masters run on the new Python."""
        executables = (Path(f"/proc/{pid}/exe").readlink() for pid in server.masters().values())
        return {executable.is_relative_to(upgraded) for executable in executables}

    with visitors(server.port, rest=SELDOM) as visits:
        server.release(PATH=f"{upgraded}/bin:{server.environment['PATH']}")
        assert runs() == {True}
        server.release(options=("--rollback",))
    assert (visits.failures, runs()) == ({}, {False})
    assert visits.pause < LONGEST_PAUSE
    server.require_whole()


SLOW_TO_LISTEN = """
import socket, time

def listen(self, backlog, listen=socket.socket.listen):
    time.sleep(2)
    listen(self, backlog)

socket.socket.listen = listen
"""


def test_a_gunicorn_that_is_slow_to_listen(server: Server) -> None:
    """The file of its socket is there before anybody can connect to it."""
    server.release(append("deploy/gunicorn.conf.py", SLOW_TO_LISTEN))
    server.require_whole()


def test_a_changed_env_takes_effect(server: Server) -> None:
    """By the same command, also from the folder of the current release."""
    assert server.get("/", Host="shop.example.org").status == 400
    env = server.path / ".env"
    env.write_text(env.read_text().replace("ALLOWED_HOSTS=", "ALLOWED_HOSTS=shop.example.org,"))
    server.run("current/deploy/release.sh", "--into", str(server.path))
    assert server.get("/", Host="shop.example.org").status == 200
    server.require_whole()


# What is refused


def only_under_supervisord(code: Path) -> None:
    """It passes the rehearsal and fails in earnest."""
    append(
        "deploy/gunicorn.conf.py", 'assert "SUPERVISOR_ENABLED" not in os.environ, "in earnest"\n'
    )(code)


def another_name_under_supervisord(code: Path) -> None:
    append(
        "shop/settings.py", 'import os\nif "SUPERVISOR_ENABLED" in os.environ:\n    RELEASE = "x"\n'
    )(code)


migration_that_fails = migration("0001_fails", 'migrations.RunSQL("no such statement")')


@pytest.mark.parametrize(
    ("break_it", "at", "reason"),
    [
        (append("shop/settings.py", "import no_such\n"), 3, "No module named 'no_such'"),
        (append("shop/urls.py", "urlpatterns += no_such\n"), 3, "name 'no_such' is not defined"),
        (replace("deploy/supervisord.conf", "numprocs = 2", "numprocs = two"), 3, "invalid literal for int() with base 10: 'two'"),
        (append("deploy/supervisor_plugin/server.py", "no_such\n"), 3, "no_such"),
        (migration_that_fails, 4, 'near "no": syntax error'),
        (replace("pages/views.py", "def home(request):\n", "def home(request):\n    no_such\n"), 6, "name 'no_such' is not defined"),
        (append("deploy/gunicorn.conf.py", "no_such\n"), 6, "name 'no_such' is not defined"),
        (append("requirements.txt", "no-such-package==1 --hash=sha256:" + "0" * 64 + "\n"), 1, "no-such-package"),
        (only_under_supervisord, 9, "did not come up"),
        (another_name_under_supervisord, 10, "ok x"),
    ],
    ids=["settings", "urls", "supervisord", "plugin", "migration", "home page", "gunicorn", "requirements", "start", "name"],
)  # fmt: skip
def test_a_broken_release_is_refused(
    server: Server, break_it: Change, at: int, reason: str
) -> None:
    """The reason is shown, no request fails, and the old code answers."""
    before = server.current, server.previous, server.releases
    with visitors(server.port, rest=rest(server.path)) as visits:
        done = server.release(break_it, check=False)
    assert (done.returncode, visits.failures, steps(done)) == (1, {}, STEPS[: at + 1])
    assert reason in done.stderr
    assert "Traceback" not in done.stderr.splitlines()[-1]
    last = done.stderr.splitlines()[-2:]
    assert last == [f"It failed: {STEPS[at]}.", f"{server.current} serves as before."]
    assert (server.current, server.previous, server.releases) == before
    server.require_whole()


# Two at once, interrupted, killed


def test_of_two_at_once_the_second_refuses(server: Server) -> None:
    """Ctrl-C takes the first one back."""
    before = server.current, server.releases
    with server.releasing() as first:
        said_until(first, STEPS[1])
        second = server.release(check=False)
        # It has not waited for the first one.
        assert first.poll() is None
        assert (second.returncode, second.stdout) == (1, "")
        assert second.stderr == f"{BUSY}{server.path}: wait until it has ended.\n"
        first.send_signal(signal.SIGINT)
        said = said_until(first, "as before.\n")
        assert first.wait(10) == 1
    assert "It was interrupted." in said
    assert (server.current, server.releases) == before
    server.require_whole()


def test_while_it_asks_the_settings_for_the_database_ctrl_c_ends_it_too(server: Server) -> None:
    """Settings that cannot be loaded have the next step fail: a signal is no such failure."""
    before = server.current, server.releases
    with server.releasing(append("shop/settings.py", "import time\ntime.sleep(9)\n")) as run:
        said_until(run, STEPS[2])
        time.sleep(0.3)
        run.send_signal(signal.SIGINT)
        said = said_until(run, "as before.\n")
        assert run.wait(10) == 1
    assert f"It was interrupted.\nIt failed: {STEPS[2]}.\n" in said
    assert (server.current, server.releases) == before


def test_killed_at_each_step(server: Server) -> None:
    """Each run begins where the one before was killed, and undoes what that one left."""
    old, releases, masters = server.current, server.releases, server.masters()

    def kill_at(step: str) -> None:
        said = ""
        while not said or said.startswith(BUSY):  # its last command still works
            with server.releasing() as run:
                said = said_until(run, step)
                if step == REHEARSAL and said.endswith(step):
                    eventually(server.rehearsing)
                if step == TURN:
                    eventually(lambda: {*server.masters().values()} - {*masters.values()})
                run.kill()
        assert said.endswith(step), said
        assert ("Going back to " in said) == (step == STEPS[-1]), said
        left = server.releases - releases
        assert len(left) <= 1, "one unfinished release, and none of those before"
        eventually(lambda: not server.rehearsing())

    turn = STEPS.index(TURN)
    with visitors(server.port, rest=SELDOM) as before:
        for step in STEPS[:turn]:
            kill_at(step)
    with visitors(server.port, rest=rest(server.path)) as visits:
        for step in STEPS[turn:]:
            kill_at(step)
        eventually(lambda: server.release(check=False).returncode == 0, 60)
    assert (before.failures, visits.failures) == ({}, {})
    assert (server.previous, server.current > old) == (old, True)
    server.require_whole()


def test_after_a_release_that_was_interrupted_the_next_one_begins_at_once(server: Server) -> None:
    """Also where pip waits for an index that says nothing."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        index = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        code = server.new_code(append("requirements.txt", "no-such==1 --hash=sha256:" + "0" * 64))
        process = subprocess.Popen(
            [*AS_USER, str(code / "deploy" / "release.sh"), "--into", str(server.path)],
            env={"HOME": server.environment["HOME"], "PATH": SYSTEM, "PIP_INDEX_URL": index},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        silent.settimeout(60)
        silent.accept()
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=10)
        assert said.endswith(f"{server.current} serves as before.\n")
        done = server.release(append("shop/settings.py", "import no_such\n"), check=False)
    assert BUSY not in done.stderr
    assert "no_such" in done.stderr


@pytest.mark.usefixtures("as_root")
def test_code_that_the_caller_cannot_read_is_said(server: Server) -> None:
    def close(code: Path) -> None:
        (code / "pages" / "closed.py").touch(0o600)

    done = server.release(close, check=False)
    assert "/pages/closed.py cannot be read: run this as its owner, or as root.\n" in done.stderr


# What is kept, and what cannot be


def test_it_keeps_the_last_five(server: Server) -> None:
    """And no venv that nobody uses."""
    releases = server.path / "releases"
    for year in range(2000, 2010):
        server.run(
            "cp", "-a", str(releases / server.current), str(releases / f"{year}0101T000000Z")
        )
    server.run("mkdir", str(server.path / "venvs" / "unused"))
    old = server.current
    server.release()
    newest = sorted(server.releases)
    assert (len(newest), newest[-2:]) == (5, [old, server.current])
    assert not (server.path / "venvs" / "unused").exists()


def refusal(run: Run) -> str:
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (1, "", 1), (
        run.stdout + run.stderr
    )
    return run.stderr.rstrip("\n")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--rolback"], "--rolback is not an option; deploy/release.sh --help lists them."),
        (["--into"], f"--into {LACKS_VALUE}"),
        (["--wheelhouse"], f"--wheelhouse {LACKS_VALUE}"),
        (["--wheelhouse", "x"], '--wheelhouse needs a folder that exists, not "x".'),
    ],
)
def test_a_wrong_option_is_said(server: Server, options: list[str], sentence: str) -> None:
    assert (
        refusal(server.run(str(server.code / "deploy/release.sh"), *options, check=False))
        == sentence
    )


def test_a_folder_that_cannot_be_written_is_said(new_server: Callable[..., Server]) -> None:
    server = new_server()
    server.path.chmod(0o555)
    if os.geteuid() == 0:
        shutil.chown(server.path, 0)
    assert refusal(server.release(check=False)) == (
        f"{server.path} cannot be written (Permission denied): run this as its owner, or as root."
    )


def test_without_a_release_before_there_is_no_way_back(new_server: Callable[..., Server]) -> None:
    server = new_server()
    done = server.release(options=("--rollback",), check=False)
    assert refusal(done) == f"There is no release in {server.path}."


def test_the_code_is_not_in_the_folder_of_the_site(new_server: Callable[..., Server]) -> None:
    server = new_server()
    script = str(server.code / "deploy" / "release.sh")
    assert refusal(server.run(script, "--into", f"{server.code}/srv", check=False)) == (
        f"{server.code}/srv holds the code itself: keep the code elsewhere, or name another folder (--into)."
    )


@pytest.mark.parametrize(
    ("megabytes", "reason"),
    [(100, " MB free and the site needs 150"), (160, "No space left on device")],
)
@pytest.mark.usefixtures("as_root")
def test_a_full_disk_is_said(
    new_server: Callable[..., Server], megabytes: int, reason: str
) -> None:
    """Before it begins, or when it happens."""
    server = new_server()
    code = server.new_code()
    with (code / "big").open("wb") as big:
        big.truncate(200 * 10**6)
    mount = f'mount -t tmpfs -o size={megabytes}M,uid="$(id -u {USER})" none "$1"'
    with namespace(server.path, mount, str(server.path)) as inside:
        script = str(code / "deploy" / "release.sh")
        done = subprocess.run(
            [*inside, *AS_USER, script, "--into", str(server.path)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        left = subprocess.check_output([*inside, "ls", str(server.path / "releases")], text=True)
    assert (done.returncode, left) == (1, "")
    assert reason in done.stderr
    assert done.stderr.endswith("Nothing is in service yet.\n")


def test_it_speaks_french_and_without_a_web_interface_it_has_no_password(
    new_server: Callable[..., Server],
) -> None:
    server = new_server(language="fr")
    config = server.code / "deploy" / "supervisord.conf"
    config.write_text(
        re.sub(
            r"\[inet_http_server\].*?(?=\[supervisord\])", "", config.read_text(), flags=re.DOTALL
        )
    )
    done = server.release()
    assert done.stdout.startswith("Copie du code")
    assert "supervisord ne tourne pas" in done.stdout
    assert (server.path / ".env").exists()
    assert not (server.path / "web_interface.conf").exists()
    sentence = "--x n'est pas une option ; deploy/release.sh --help les énumère."
    assert refusal(server.release(options=("--x",), check=False)) == sentence
