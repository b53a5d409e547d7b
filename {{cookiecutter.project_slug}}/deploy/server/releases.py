"""_("A release: the folder that it gets on the server, and its rehearsal there.")"""

import filecmp
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import cached_property

#% if cookiecutter.database == "postgresql" and cookiecutter.tasks == "celery"
from . import code, preflight, schema, shared
#% else
from . import code, preflight, schema
#% endif
from .commands import Failed, last_lines, run, started
from .database import Database
from .facts import DOMAIN, PACKAGE
from .probes import ask, listens
from .site_folder import CODE, link, same_files, target
from .supervisord_conf import SupervisordConf
from .venvs import PYTHON, Venv

#: Connections that must all reach the new release, in whichever process
VERIFYING_CONNECTIONS = 20
#: One of Django's warnings, and where a release keeps those that it had
WARNING = re.compile(r"^.+?: \(\w+\.\w+\) .+(?:\n\t.+)*", re.MULTILINE)
WARNINGS = ".warnings"
GUNICORN = ("--config", "deploy/gunicorn.conf.py")

#: Before what needs of Django its settings alone; manage.py shell loads every app, and takes three times as long.
SETTINGS = f"""
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "{PACKAGE}.settings"
from django.conf import settings
"""
#: A name under which the site answers
FIRST_HOST = """
print((settings.ALLOWED_HOSTS or ["localhost"])[0].lstrip(".*") or "localhost")
"""


class Release:
    """_("One release: its folder, and what is done to it.")"""

    def __init__(self, folder, release):
        self.folder = folder
        self.name = release
        self.path = folder.releases / release
        self.user = folder.user
#% if cookiecutter.database == "postgresql"
        #: What its commands get besides the site's environment
        self.variables = {}
#% endif

    def copy_code(self, names):
        self.path.mkdir()
        code.copy(CODE, names, self.path)
        #: What goes back follows these links.
        if before := target(self.folder.current):
            link(self.path / ".previous", f"../{before}")

    def make_venv(self, packages):
        """_("Named after what it is made from: a release with the same takes the same.")"""
        if self.user.switched:
            preflight.require_python(self.user.account, self.user.account.pw_name)
        made_from = f"{sys.version}{PYTHON}".encode()
        made_from += (self.path / "requirements.txt").read_bytes()
        name = hashlib.sha256(made_from).hexdigest()[:12]
        #: A venv finds the folder deploy beside it.
        link(self.folder.venvs / "deploy", "../current/deploy")
        venv = Venv(self.folder.venvs / name, self.path / "requirements.txt")
        if not venv.is_complete():
            if not venv.can_be_updated():
                shutil.rmtree(venv.path, ignore_errors=True)
            venv.stamp.unlink(missing_ok=True)
            for _, command in venv.commands(packages):
                run(*command)
            compile_python(venv, venv.path / "lib")
            venv.finish()
        compile_python(venv, self.path)
        link(self.path / "venv", f"../../venvs/{name}")
        link(self.path / ".env", "../../.env")
        #: supervisord.conf reads it; what it says on another machine does not count here.
#% if cookiecutter.database == "postgresql" and cookiecutter.tasks == "celery"
        (self.path / "deploy" / "local.conf").write_text(shared.local_conf())
#% else
        (self.path / "deploy" / "local.conf").touch()
#% endif
        if self.config.web_interface:
            password = self.path / "deploy" / "web_interface.conf"
            link(password, "../../../web_interface.conf")

    def python(self, *words):
        """_("Runs a command of the release's Python as the site's user.")"""
        return run(self.path / "venv" / "bin" / "python", *words, **self.options())

    def options(self):
        options = {"cwd": self.path, **self.user.options()}
#% if cookiecutter.database == "postgresql"
        options["env"] |= self.variables
#% endif
        return options

    def manage(self, *words):
        return self.python("manage.py", *words)

    def ask_settings(self, code):
        """_("What the code prints that asks Django's settings.")"""
        return self.python("-c", SETTINGS + code)

    def use_rehearsal(self):
        """_("Gives the release a var/ of its own, with all uploads.")"""
        rehearsal = self.folder.rehearsal
        with self.user.touches_files():
            (rehearsal / "log").mkdir(parents=True)
            rehearsal.chmod(0o700)
            if self.folder.media.exists():
                same_files(self.folder.media, rehearsal / "media", os.symlink)
        link(self.path / "var", "../../var/rehearsal")

    def rehearse_migrations(self):
        """_("Returns what the release that serves cannot live with.")"""
        before = self.database.columns()
        self.manage("migrate", "--no-input")
        return schema.misfits(before, self.database.columns(), serving(self.folder))

    def use_var(self):
        with self.user.touches_files():
            (self.folder.var / "log").mkdir(0o750, exist_ok=True)
        link(self.path / "var", "../../var")

    def check(self):
        """_("The settings of Django and supervisord; gunicorn reads its own when it is asked for the home page. Returns those of Django's warnings that the release before did not have.")"""
        said = self.manage("check", "--deploy")
        self.python("deploy/server", "health", "config")
#% if cookiecutter.database == "postgresql"
        #: Without rows, it is asked for none.
        if self.database.schema_only:
            self.python("venv/bin/gunicorn", "--check-config", *GUNICORN)
#% endif
        warnings = WARNING.findall(said)
        (self.path / WARNINGS).write_text("\n".join(warnings))
        known = self.path / ".previous" / WARNINGS
        before = known.read_text() if known.exists() else ""
        return [warning for warning in warnings if warning not in before]

    def ask_for_pages(self):
        """_("A gunicorn on a socket that nobody else knows must show the home page.")"""
        address = str(self.folder.rehearsal / "gunicorn.sock")
        gunicorn = ("venv/bin/gunicorn", *GUNICORN, "--bind", f"unix:{address}")
        with (
            tempfile.TemporaryFile() as output,
            started(gunicorn, output, **self.options()) as process,
        ):
            while not listens(address):
                if process.poll() is not None:
                    raise Failed(last_lines(output))
                time.sleep(0.1)
            self.require_name(ask(address, "/healthz", self.host))
            status, _ = ask(address, "/", self.host)
            if status >= 400:
                raise Failed(f"{last_lines(output)}\nGET /: {status}")

    def require_name(self, answer):
        if answer != (200, f"ok {self.name}\n"):
            text = _py("/healthz answers {answer} instead of 200 and the name {release}.")
            raise Failed(text, answer=answer, release=self.name)

    def publish_static_files(self):
        """_("Moves those of the rehearsal: the site, which serves, never sees half of one.")"""
        source, static = self.folder.rehearsal / "static", self.folder.static
        with self.user.touches_files():
            #: nginx follows a link only if its owner owns the target too; root may have made these.
            for folder in filter(os.path.islink, (static, self.folder.media)):
                link(folder, os.readlink(folder))
            for file in [path for path in source.rglob("*") if path.is_file()]:
                target = static / file.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                if not (target.exists() and filecmp.cmp(file, target, shallow=False)):
                    file.replace(target)
                #: The site keeps what it writes to itself, and nginx sends these.
                target.chmod(0o644)

    @cached_property
    def config(self):
        return SupervisordConf(self.path)

    @cached_property
    def database(self):
        return Database(self)

    @cached_property
    def host(self):
        """_("A name under which the site answers.")"""
        return self.ask_settings(FIRST_HOST)

    def answers(self):
        """_("Whether visitors get an answer from it, as far as this machine can tell.")"""
        with suppress(Failed, OSError):
            return ask(self.config.site, "/healthz", DOMAIN)[0] < 500
        return False

    def verify(self):
        """_("The site that visitors see must be this release.")"""
        for _ in range(VERIFYING_CONNECTIONS):
            self.require_name(ask(self.config.site, "/healthz", self.host))


def compile_python(venv, folder):
    """_("The site may not write there: Python's bytecode must be there already. What only another Python understands may stay as it is.")"""
    compileall = (venv.python, "-m", "compileall", "-q", folder)
    with started(compileall, subprocess.DEVNULL) as process:
        process.wait()


def serving(folder):
    """_("The release that serves.")"""
    return Release(folder, target(folder.current))
