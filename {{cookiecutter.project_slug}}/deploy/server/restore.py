"""_("Puts a copy of the site's data back: the steps, in their order.")"""

import os
import shutil
import time
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from . import preflight
from .backup import copies
from .commands import Failed, confirmed, say, step
from .database import FILE, Restoration
from .options import Parser
from .releases import serving
from .site_folder import own_site

PROGRAM = "deploy/restore.sh"
#: Free space beyond what comes back
NEEDED_MEGABYTES = 50
#: In var/: what it has stopped
NOTE = "restore.stopped"


def main(words):
    text = _py("Puts a copy of the site's data back, on the server.")
    parser = Parser(PROGRAM, text)
    text = _py("a copy, by its name or its path; without it, the copies are shown")
    parser.word("copy", _py("COPY"), text)
    parser.flag("--yes", help=_py("replace the data without asking"))
    options = parser.parse(words)
    site = own_site()
    site.prepare()
    if options.copy:
        restore(site, Copy(site, options.copy), options.yes)
    else:
        show_copies(site)


def show_copies(site):
    for path in copies(site):
        #: Where there was no database, none was kept.
        with suppress(Failed):
            size = Copy(site, path).database.stat().st_size / 10**6
            say("{name}  {size:.1f} MB", name=path.name, size=size)
    say(_py("To put one back: {program} NAME"), program=PROGRAM)


def restore(site, copy, yes):
    """_("Until its programs stop, the site goes on with what it has. What fails is undone.")"""
    uploads = copy.missing_uploads()
    sizes = [path.stat().st_size for path in (copy.database, *uploads)]
    needed = NEEDED_MEGABYTES + sum(sizes) // 10**6
    preflight.require_space(site.path, needed, PROGRAM)
    release = serving(site)
    restoration = Restoration(release.database, copy)
    replaced = site.backups / time.strftime("%Y-%m-%d-%H%M%S-replaced")
    values = {"folder": site.path, "copy": copy.path, "replaced": replaced}
    programs = running(site)
    try:
        with step(_py("Checking the copy")):
            restoration.bring()
        text = _py("Replace the data of {folder} by the copy {copy}? What is there now is kept in {replaced}. [y/N] ")
        if not yes and not confirmed(text, **values):
            raise Failed(_py("Nothing has changed."))
        with step(_py("Putting back the uploads that are missing")):
            for path in uploads:
                copy.bring(path, copy.place_of(path))
        text = _py("Replacing the database: visitors wait")
        with step(text), stopped(site, programs):
            restoration.replace(replaced)
    except BaseException:
        #: What hinders the tidying up is not the reason.
        with suppress(Failed, OSError):
            restoration.clean_up()
        raise
    restoration.clean_up()
    if programs:
        with step(_py("Asking whether the site answers")):
            release.verify()
    text = _py("The site has the data of {copy}. What it had before is in {replaced}.")
    say(text, **values)


class Copy:
    """_("A folder that deploy/backup.sh has made, or a database alone.")"""

    def __init__(self, site, name):
        path = site.backups / name
        self.path = path if path.exists() else Path(name).absolute()
        self.database = self.path if self.path.is_file() else self.path / FILE
        self.media = self.path / "media"
        self.site = site
        if not self.database.is_file():
            text = _py("{copy} is no copy: there is no {file}. {program} shows the copies.")
            raise Failed(text, copy=self.path, file=self.database, program=PROGRAM)

    def reading(self):
        """_("Where the site may write, it may have placed a link: there, nothing is read with root's rights.")"""
        folders = {*self.path.parents, *self.path.resolve().parents}
        inside = folders & {self.site.path, self.site.path.resolve()}
        return self.site.user.touches_files() if inside else nullcontext()

    def missing_uploads(self):
        """_("Django never writes over an upload: one of the same name is the same.")"""
        with self.reading():
            files = [
                Path(folder, name)
                for folder, _, names in os.walk(self.media)
                for name in names
                if not Path(folder, name).is_symlink()
            ]
        return [path for path in files if not self.place_of(path).exists()]

    def place_of(self, upload):
        return self.site.media / upload.relative_to(self.media)

    def bring(self, source, goal):
        """_("Copies a file for the site's user.")"""
        with self.reading():
            descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW)
        with open(descriptor, "rb") as old, self.site.user.touches_files():
            goal.parent.mkdir(parents=True, exist_ok=True)
            with goal.open("xb") as new:
                shutil.copyfileobj(old, new)


@contextmanager
def stopped(site, programs):
    """_("supervisord holds the site's socket meanwhile.")"""
    if not programs:
        yield
        return
    note = site.var / NOTE
    with site.user.touches_files():
        note.write_text("\n".join(programs))
    try:
        site.ask_supervisord("stop", *programs)
        if left := {*programs} & {*running(site, noted=False)}:
            text = _py("{names} did not stop, and nothing has changed: {logs} tells why.")
            raise Failed(text, names=", ".join(sorted(left)), logs=site.var / "log")
        yield
    finally:
        #: A stop that was interrupted may still be under way: restart waits for it.
        site.ask_supervisord("restart", *programs)
        with site.user.touches_files():
            note.unlink(missing_ok=True)


def running(site, noted=True):
    """_("The programs that are not meant to be still: those too that a restore had stopped when it was killed.")"""
    if not site.is_running():
        return []
    stopped, note = [], site.var / NOTE
    with site.user.touches_files():
        if noted and note.exists():
            stopped = note.read_text().split()
    still = {"STOPPED", "EXITED"}
    lines = map(str.split, site.ask_supervisord("status").splitlines())
    return [name for name, state, *_ in lines if state not in still or name in stopped]
