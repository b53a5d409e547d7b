"""_("Puts the code of this folder into service on a server: the steps, in their order.")"""

import configparser
import filecmp
import hashlib
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from release_commands import Failed, ask, last_lines, run, say, started, step
from release_folder import GROUP, MIGRATIONS, Folder, link, name

USAGE = """\
_("Usage: deploy/release.sh [--rollback] [--into DIR] [--offline] [--wheelhouse DIR]")

_("  --rollback        put the previous release into service again")
_("  --into DIR        the folder of the site (default: {{ cookiecutter.install_dir }})")
_("  --wheelhouse DIR  also take packages from this folder")
_("  --offline         use no network; needs --wheelhouse DIR")
"""
GUNICORN = ("--config", "deploy/gunicorn.conf.py")
CODE = Path(__file__).resolve().parents[1]
#: What belongs to the folder of the code, not to a release.
LEFT_OUT = (".git", ".env", "var", "venv", "deploy/web_interface.conf")
#: Free megabytes that a release needs: for a venv, and twice the static files.
SPACE = 150
#: New connections that must all reach the new release, in whichever process.
CONNECTIONS = 20

COPY_DATABASE = """
import sqlite3, sys
source, copy = map(sqlite3.connect, sys.argv[1:])
source.backup(copy)
"""
READ_SUPERVISORD_CONFIG = """
import sys
from supervisor.options import ServerOptions
ServerOptions().realize(["-c", sys.argv[1]])
"""
FIRST_HOST = """
from django.conf import settings
print((settings.ALLOWED_HOSTS or ["localhost"])[0].lstrip(".*") or "localhost")
"""


class Release:
    """_("One release: its folder, and what is done to it.")"""

    def __init__(self, folder, release):
        self.folder = folder
        self.name = release
        self.path = folder.releases / release
        self.user = folder.user

    def copy_code(self):
        left_out = [CODE / name for name in LEFT_OUT]

        def ignore(parent, names):
            return [
                name
                for name in names
                if name == "__pycache__" or Path(parent, name) in left_out
            ]

        shutil.copytree(CODE, self.path, symlinks=True, ignore=ignore)
        #: The site's user reads all of it, whatever the caller's umask was.
        for path in [self.path, *self.path.rglob("*")]:
            if not path.is_symlink():
                mode = path.stat().st_mode | 0o644
                runs = path.is_dir() or mode & 0o100
                path.chmod((mode | 0o111 if runs else mode) & 0o755)

    def make_venv(self, options):
        """_("Named after what it is made from: a release with the same takes the same.")"""
        made_from = f"{sys.version}{sys._base_executable}".encode()
        made_from += (self.path / "requirements.txt").read_bytes()
        digest = hashlib.sha256(made_from).hexdigest()[:12]
        venv = self.folder.venvs / digest
        run(self.path / "bootstrap.sh", "--venv", venv, *options)
        #: The site may not write into these folders: Python's bytecode must be there.
        compile_all = ("-m", "compileall", "-q", self.path, venv / "lib")
        run(venv / "bin" / "python", *compile_all, may_fail=True)
        #: bootstrap.sh's log
        shutil.rmtree(self.path / "var")
        link(self.path / "venv", f"../../venvs/{digest}")
        link(self.path / ".env", "../../.env")
{%- if cookiecutter.web_interface != "off" %}
        link(self.path / "deploy" / "web_interface.conf", "../../../web_interface.conf")
{%- endif %}

    def python(self, *words, **environment):
        """_("Runs a command of the release's Python as the site's user.")"""
        return run(
            self.path / "venv" / "bin" / "python",
            *words,
            cwd=self.path,
            **self.user.options(**environment),
        )

    def manage(self, *words):
        return self.python("manage.py", *words)

    def use_rehearsal(self):
        """_("Gives the release a var/ of its own, with a copy of the database.")"""
        rehearsal = self.folder.rehearsal
        with self.user.rights():
            (rehearsal / "log").mkdir(parents=True)
            rehearsal.chmod(0o700)
        link(self.path / "var", "../../var/rehearsal")
        database = self.folder.var / "db.sqlite3"
        if database.exists():
            self.python("-c", COPY_DATABASE, database, rehearsal / database.name)

    def use_var(self):
        with self.user.rights():
            (self.folder.var / "log").mkdir(exist_ok=True)
        link(self.path / "var", "../../var")

    def check(self):
        """_("What Django finds, gunicorn's and supervisord's settings; returns Django's warnings.")"""
        said = self.manage("check", "--deploy")
        config = self.path / "deploy" / "supervisord.conf"
        #: Of this release, and not the current one, to which the venv leads.
        plugin = {"PYTHONPATH": str(self.path / "deploy")}
        self.python("-c", READ_SUPERVISORD_CONFIG, config, **plugin)
        self.python("venv/bin/gunicorn", "--check-config", *GUNICORN)
        return said if "WARNINGS:" in said else ""

    def ask_for_pages(self):
        """_("A gunicorn of its own, on a socket that nobody knows, must show the home page.")"""
        address = str(self.folder.rehearsal / "gunicorn.sock")
        host = self.manage("shell", "--no-imports", "-c", FIRST_HOST)
        gunicorn = ("venv/bin/gunicorn", *GUNICORN, "--bind", f"unix:{address}")
        options = {"cwd": self.path, **self.user.options()}
        with (
            tempfile.TemporaryFile() as output,
            started(gunicorn, output, **options) as process,
        ):
            while not Path(address).exists():
                if process.poll() is not None:
                    raise Failed(last_lines(output))
                time.sleep(0.1)
            self.require_name(ask(address, "/healthz", host))
            status, _ = ask(address, "/", host)
            if status >= 400:
                raise Failed(f"{last_lines(output)}\nGET /: {status}")

    def require_name(self, answer):
        if answer != (200, f"ok {self.name}\n"):
            raise Failed(
                _py("/healthz answers {answer} instead of 200 and the name {release}."),
                answer=answer,
                release=self.name,
            )

    def publish_static_files(self):
        """_("Those of the rehearsal, each at one stroke: the site never sees half of one.")"""
        source = self.folder.rehearsal / "static"
        with self.user.rights():
            for file in source.rglob("*"):
                target = self.folder.static / file.relative_to(source)
                if file.is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                elif not (target.exists() and filecmp.cmp(file, target, shallow=False)):
                    file.replace(target)

    def address(self):
        """_("Where gunicorn listens, by the settings of this release.")"""
        parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
        parser.read(self.path / "deploy" / "supervisord.conf", encoding="utf-8")
        kind, _, address = parser[f"fcgi-program:{GROUP}"]["socket"].partition("://")
        if kind == "unix":
            return address.replace("%(here)s", str(self.path / "deploy"))
        host, _, port = address.rpartition(":")
        return host, int(port)

    def verify(self, address):
        for _ in range(CONNECTIONS):
            self.require_name(ask(address, "/healthz", "localhost"))


def make_release(folder, venv_options):
    """_("From the code to the release in service.")"""
    new = Release(folder, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))
    require_space(folder)
    folder.begin(new.name)
    with step(_py("Copying the code")):
        new.copy_code()
        folder.write_secrets(new.path / ".env.example")
    with step(_py("Making the venv, or taking the one that fits")):
        new.make_venv(venv_options)
    with step(_py("Rehearsal: copying the database")):
        new.use_rehearsal()
    with step(_py("Rehearsal: checking the settings")):
        warnings = new.check()
    if warnings:
        say(warnings)
    with step(_py("Rehearsal: migrating the copy of the database")):
        new.manage("migrate", "--no-input")
    with step(_py("Rehearsal: collecting the static files")):
        new.manage("collectstatic", "--no-input")
    with step(_py("Rehearsal: asking for the home page")):
        new.ask_for_pages()
    with step(_py("Migrating the database")):
        new.use_var()
        new.manage("migrate", "--no-input")
    with step(_py("Publishing the static files")):
        new.publish_static_files()
    put_in_service(folder, new)


def roll_back(folder):
    """_("The previous release is whole and was in service: it needs no rehearsal.")"""
    if not name(folder.previous):
        raise Failed(
            _py("There is no previous release in {folder}: nothing to go back to."),
            folder=folder.path,
        )
    old = Release(folder, name(folder.previous))
    folder.begin(old.name)
    put_in_service(folder, old)
    say(MIGRATIONS)


def put_in_service(folder, new):
    before = name(folder.current)
    #: supervisord opened this address when it started; new settings wait for its restart.
    address = Release(folder, before or new.name).address()
    if folder.is_running():
        with step(_py("Restarting gunicorn, one master after the other")):
            folder.switch(new.name)
            folder.restart_in_turn()
        with step(_py("Asking the site which release serves")):
            new.verify(address)
    else:
        folder.switch(new.name)
    folder.finish(before)
    say_what_remains(folder, new, before)


def say_what_remains(folder, new, before):
    config = "deploy/supervisord.conf"
    bin = folder.current / "venv" / "bin"
    files = [folder.releases / release / config for release in (before, new.name)]
    if not folder.is_running():
        say(
            _py("supervisord does not run. To start it, as {user}: {command}"),
            user=folder.user.account.pw_name,
            command=f"{bin}/supervisord -c {folder.current / config}",
        )
    elif before and not filecmp.cmp(*files, shallow=False):
        say(
            _py("{config} has changed, and supervisord reads it only when told. For its programs: {command} update. For all else, stop supervisord and start it again."),
            config=config,
            command=f"{bin}/supervisorctl",
        )


def require_space(folder):
    database = folder.var / "db.sqlite3"
    needed = SPACE + (database.stat().st_size // 10**6 if database.exists() else 0)
    free = shutil.disk_usage(folder.path).free // 10**6
    if free < needed:
        raise Failed(
            _py("The disk of {folder} has {free} MB free and a release needs {needed}: free some."),
            folder=folder.path,
            free=free,
            needed=needed,
        )


def parse(arguments):
    """_("The options: whether to roll back, the folder, and what bootstrap.sh gets.")"""
    wants_roll_back, into, for_venv = False, "{{ cookiecutter.install_dir }}", []
    words = iter(arguments)
    for word in words:
        value = next(words, "") if word in ("--into", "--wheelhouse") else None
        if word in ("-h", "--help"):
            print(USAGE, end="")
            sys.exit()
        elif value == "":
            raise Failed(
                _py("{word} needs a folder."),
                word=word,
            )
        elif word == "--rollback":
            wants_roll_back = True
        elif word == "--into":
            into = value
        elif word == "--wheelhouse":
            for_venv += [word, os.path.abspath(value)]
        elif word == "--offline":
            for_venv.append(word)
        else:
            raise Failed(
                _py("{word} is not an option; deploy/release.sh --help lists them."),
                word=word,
            )
    return wants_roll_back, Path(into).resolve(), for_venv


def interrupt(number, frame):
    raise Failed(_py("It was interrupted."))


def release(wants_roll_back, path, venv_options):
    if CODE in (path, *path.parents):
        raise Failed(
            _py("{folder} holds the code itself: keep the code elsewhere, or name another folder (--into)."),
            folder=path,
        )
    folder = Folder(path)
    folder.prepare()
    with folder.lock():
        folder.clean_up()
        before = name(folder.current)
        try:
            if wants_roll_back:
                roll_back(folder)
            else:
                make_release(folder, venv_options)
        except Failed as failure:
            handle_signals(signal.SIG_IGN)
            complain(failure)
            folder.clean_up()
            if before:
                raise Failed(_py("{release} serves as before."), release=before) from None
            raise Failed(_py("Nothing is in service yet.")) from None
        folder.remove_old()
    return name(folder.current)


def complain(failure):
    with suppress(OSError):
        print(failure, file=sys.stderr)
        if failure.step:
            print(_py("It failed:"), failure.step, file=sys.stderr)


def handle_signals(handler):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)


def main():
    began = time.monotonic()
    #: The site goes first; and it must be able to read what is made here.
    os.nice(10)
    os.umask(0o022)
    handle_signals(interrupt)
    try:
        serves = release(*parse(sys.argv[1:]))
    except Failed as failure:
        complain(failure)
        sys.exit(1)
    say(
        _py("{release} is in place ({seconds} s)."),
        release=serves,
        seconds=round(time.monotonic() - began),
    )


if __name__ == "__main__":
    main()
