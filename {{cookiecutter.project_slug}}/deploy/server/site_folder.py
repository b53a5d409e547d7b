"""_("The folder of the site on the server: its releases, and the links that say which one serves.")"""

#: releases/ holds one folder per release, venvs/ their packages. The link current names the release that serves; in each release, .previous names the one that served before it. var/ is the site's own: database, logs, sockets, static files.

import os
import shutil
import subprocess
from contextlib import suppress
#% if cookiecutter.database == "postgresql"
from functools import partial
#% endif
from pathlib import Path

#% if cookiecutter.database == "postgresql"
from . import postgresql, secret_files, shared
#% else
from . import secret_files
#% endif
from .commands import Failed, lock, run, say, step
from .facts import FOLDER, GROUP
from .probes import listens
from .site_user import SiteUser

CODE = Path(__file__).resolve().parents[2]
#: Releases that stay, to look at or to copy from
KEPT_RELEASES = 5
#: The name of a release is the time when it was made (UTC).
NAME, NAMES = "%Y%m%dT%H%M%SZ", f"{'[0-9]' * 8}T{'[0-9]' * 6}Z"
#: In each release: the template and its version
TEMPLATE_VERSION = "TEMPLATE_VERSION"
MIGRATIONS_STAY = _py("Migrations are not undone: the database stays as it is.")


class SiteFolder:
    """_("The paths in it, and what is done to it as a whole.")"""

    def __init__(self, path):
        self.path = path
        self.releases = path / "releases"
        self.venvs = path / "venvs"
        self.var = path / "var"
        self.static = self.var / "static"
        self.media = self.var / "media"
        self.backups = self.var / "backups"
        self.rehearsal = self.var / "rehearsal"
        self.current = path / "current"
        #: While a release is under way, its name, if it is new, and the name of the one that served before.
        self.unfinished = path / "unfinished"

    def prepare(self):
        """_("Makes what is missing of it, reads who runs the site, and locks it.")"""
        try:
            if os.geteuid() != 0:
                self.var.mkdir(parents=True, exist_ok=True)
            elif not self.var.is_dir():
                text = _py("{folder} is missing: deploy/install.sh makes it.")
                raise Failed(text, folder=self.var)
            self.user = SiteUser(self.var)
            self.make_releases()
            self.venvs.mkdir(exist_ok=True)
            self.lock()
        except OSError as error:
            text = _py("{folder} cannot be written ({reason}): run this as its owner, or as root.")
            raise Failed(text, folder=self.path, reason=error.strerror) from None

    def make_releases(self):
        """_("The code is for those who release and for the site: what keeps the others out is the mode of this one folder.")"""
        self.releases.mkdir(mode=0o750, exist_ok=True)
        if self.user.switched:
            os.chown(self.releases, 0, self.user.account.pw_gid)
        self.releases.chmod(0o750)

    def lock(self):
        lock(
            self.path / "release.lock",
            _py("Another release or a restore is under way in {folder}: wait until it has ended."),
            folder=self.path,
        )

    def names(self):
        """_("The releases that are kept, the oldest first.")"""
        making = self.read_unfinished()[0]
        found = self.releases.glob(NAMES)
        return sorted(folder.name for folder in found if folder.name != making)

    def require_release(self):
        if not self.names():
            raise Failed(_py("There is no release in {folder}."), folder=self.path)

    def before(self, release):
        """_("The one that served before it, or else the next older one; empty where there is none.")"""
        names = self.names()
        previous = target(self.releases / release / ".previous")
        older = ["", *(name for name in names if name < release)]
        return previous if previous in names else older[-1]

    def begin(self, new=""):
        """_("From here to finish(), clean_up() goes back, and removes the new release.")"""
        file = self.unfinished.with_name("unfinished.new")
        file.write_text(f"{new} {target(self.current)}")
        file.replace(self.unfinished)

    def read_unfinished(self):
        if not self.unfinished.exists():
            return "", target(self.current)
        new, _, old = self.unfinished.read_text().partition(" ")
        return new, old

    def switch(self, release):
        link(self.current, f"releases/{release}")

    def finish(self):
        self.unfinished.unlink()

    def clean_up(self):
        """_("Undoes a release that failed or was interrupted, and removes what nobody needs.")"""
        new, old = self.read_unfinished()
        if target(self.current) != old:
            self.go_back(old)
        if new:
            shutil.rmtree(self.releases / new, ignore_errors=True)
        self.unfinished.unlink(missing_ok=True)
        #: An older template's way to find the release before
        (self.path / "previous").unlink(missing_ok=True)
        self.remove_old()

    def go_back(self, old):
        if not old:
            self.current.unlink()
            return
        with step(_py("Going back to {release}"), release=old):
            self.switch(old)
            self.restart_in_turn()
        say(MIGRATIONS_STAY)

    def remove_old(self):
        """_("Keeps the newest releases, and what serves or is in use.")"""
        names, serves = self.names(), target(self.current)
        keep = {*names[-KEPT_RELEASES:], serves, self.before(serves)}
        in_use = processes()
        for release in names:
            folder = self.releases / release
            if release not in keep and str(folder) not in in_use:
                shutil.rmtree(folder)
        wanted = {(folder / "venv").resolve() for folder in self.releases.iterdir()}
        for venv in self.venvs.iterdir():
            if venv not in wanted and not venv.is_symlink() and str(venv) not in in_use:
                shutil.rmtree(venv)
        with self.user.touches_files():
            shutil.rmtree(self.rehearsal, ignore_errors=True)
            for manifest in (self.static / "manifests").glob("*"):
                if not (self.releases / manifest.name).exists():
                    shutil.rmtree(manifest, ignore_errors=True)

    def is_running(self):
        """_("Whether supervisord is at the other end of its socket.")"""
        return listens(self.var / "ctl.sock")

    def restart_in_turn(self):
        """_("Each program of the site takes the release that is current when it starts.")"""
        if self.is_running():
            command = self.supervisorctl("rolling_restart", self.programs())
            run(*command, **self.options())

    def programs(self):
        """_("All that run its code; a release made by an older template knows those of gunicorn alone.")"""
        plugin = self.current / "deploy" / "supervisor_plugin" / "rolling_restart.py"
        return "all" if '"all"' in plugin.read_text() else GROUP

    def ask_supervisord(self, *words):
        """_("What supervisorctl says, also where its exit code tells of a failure.")"""
        command = self.supervisorctl(*words)
        options = {"capture_output": True, "text": True, **self.options()}
        options["stdin"] = subprocess.DEVNULL
        return subprocess.run(command, check=False, **options).stdout

    def supervisorctl(self, *words):
        config = self.current / "deploy" / "supervisord.conf"
        return self.current / "venv" / "bin" / "supervisorctl", "-c", config, *words

    def options(self):
        return {"cwd": self.path, **self.user.options()}

    def write_secrets(self, release):
        """_("They stand outside the releases, which share them.")"""
        group = self.user.account.pw_gid if self.user.switched else None
        example = release.path / ".env.example"
#% if cookiecutter.database == "postgresql"
        new_url = partial(postgresql.new_url, self.path, self.user.options())
        made = {"DATABASE_URL": new_url}
        made |= {name: partial(str, value) for name, value in shared.env().items()}
        secret_files.write_env(self.path / ".env", group, example, **made)
#% else
        secret_files.write_env(self.path / ".env", group, example)
#% endif
        secret_files.say_what_is_new(self.path / ".env", example)
        if release.config.web_interface:
            secret_files.write_password(self.path / "web_interface.conf", group)


def own_site():
    """_("The site that this code is a release of; else the one of deploy/server/facts.py.")"""
    is_release = CODE.parent.name == "releases"
    site = SiteFolder(CODE.parents[1] if is_release else Path(FOLDER))
    if not site.current.is_symlink():
        text = _py("There is no site in {folder}: deploy/install.sh makes it.")
        raise Failed(text, folder=site.path)
    return site


def link(path, target):
    """_("Makes or changes a symbolic link; nobody sees a moment without it.")"""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(path)


def target(path):
    """_("The release that a link names; empty where there is no link.")"""
    return os.path.basename(os.readlink(path)) if path.is_symlink() else ""


def same_files(folder, copy, otherwise):
    """_("The files of a folder by second names: they take no space, and whoever deletes or renames one leaves the other. What can have none, on another disk or of another's, is made otherwise.")"""

    def second_name(source, place):
        source = os.path.realpath(source)
        try:
            os.link(source, place)
        except FileNotFoundError:
            #: A visitor has deleted it meanwhile.
            return
        except OSError:
            otherwise(source, place)

    shutil.copytree(folder, copy, copy_function=second_name)


def processes():
    """_("Where each process of the machine is, and what it was started with.")"""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found.append((process / "cmdline").read_bytes().decode(errors="replace"))
            found.append(os.readlink(process / "cwd"))
    return "\n".join(found)


def say_version(code):
    """_("Which version of the template made this code; nothing where its file is missing.")"""
    with suppress(OSError):
        made_by = (code / TEMPLATE_VERSION).read_text().strip()
        say(_py("Made by {template}"), template=made_by)
