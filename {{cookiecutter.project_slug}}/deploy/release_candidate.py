"""_("A release: the folder that it gets on the server, and what is tried there.")"""

import configparser
import filecmp
import hashlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from release_commands import Failed, ask, end_with, last_lines, listens, run, started
from release_folder import GROUP, link

CODE = Path(__file__).resolve().parents[1]
#: What belongs to the folder of the code, not to a release.
LEFT_OUT = (".git", ".env", "var", "venv", "deploy/web_interface.conf")
#: New connections that must all reach the new release, in whichever process.
CONNECTIONS = 20
GUNICORN = ("--config", "deploy/gunicorn.conf.py")

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
        python = sys._base_executable
        with self.user.rights():
            if not os.access(python, os.X_OK, effective_ids=True):
                raise Failed(
                    _py("{user} may not run {python}: take a Python that everybody can run, as /usr/bin/python3 of Debian."),
                    user=self.user.account.pw_name,
                    python=python,
                )
        made_from = f"{sys.version}{python}".encode()
        made_from += (self.path / "requirements.txt").read_bytes()
        digest = hashlib.sha256(made_from).hexdigest()[:12]
        venv = self.folder.venvs / digest
        #: bootstrap.sh makes a venv find the folder deploy beside it.
        link(self.folder.venvs / "deploy", "../current/deploy")
        run(self.path / "bootstrap.sh", "--venv", venv, *options)
        #: The site may not write into these folders: Python's bytecode must be there.
        compile_all = ("-m", "compileall", "-q", self.path, venv / "lib")
        run(venv / "bin" / "python", *compile_all, may_fail=True)
        #: It holds bootstrap.sh's log; the release gets a link in its place.
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
        """_("The settings of Django, supervisord and gunicorn; returns Django's warnings.")"""
        said = self.manage("check", "--deploy")
        config = self.path / "deploy" / "supervisord.conf"
        #: Of this release, and not the current one, to which the venv leads.
        plugin = {"PYTHONPATH": str(self.path / "deploy")}
        self.python("-c", READ_SUPERVISORD_CONFIG, config, **plugin)
        self.python("venv/bin/gunicorn", "--check-config", *GUNICORN)
        return said if "WARNINGS:" in said else ""

    def ask_for_pages(self):
        """_("A gunicorn on a socket that nobody else knows must show the home page.")"""
        address = str(self.folder.rehearsal / "gunicorn.sock")
        host = self.host()
        gunicorn = ("venv/bin/gunicorn", *GUNICORN, "--bind", f"unix:{address}")
        me = os.getpid()
        options = {"cwd": self.path, "preexec_fn": lambda: end_with(me)}
        with (
            tempfile.TemporaryFile() as output,
            started(gunicorn, output, **options, **self.user.options()) as process,
        ):
            while not listens(address):
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
        """_("Moves those of the rehearsal: the site, which serves, never sees half of one.")"""
        source = self.folder.rehearsal / "static"
        with self.user.rights():
            for file in [path for path in source.rglob("*") if path.is_file()]:
                target = self.folder.static / file.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                if not (target.exists() and filecmp.cmp(file, target, shallow=False)):
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

    def host(self):
        """_("A name under which the site answers.")"""
        return self.manage("shell", "--no-imports", "-c", FIRST_HOST)

    def verify(self, address):
        """_("The site that visitors see must be this release.")"""
        host = self.host()
        for _ in range(CONNECTIONS):
            self.require_name(ask(address, "/healthz", host))
