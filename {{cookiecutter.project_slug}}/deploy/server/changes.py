"""_("Changes the machine for deploy/install.sh: each change is shown, and made unless it is a dry run.")"""

import os
import pwd
import shlex
import shutil
import stat
from contextlib import suppress

from .commands import run, say, step
from .site_folder import link


class Changes:
    """_("Shown as + (written), - (removed) or $ (run). What is so already is neither shown nor made.")"""

    def __init__(self, dry_run):
        self.dry_run = dry_run

    def make(self, sign, text, change, *arguments):
        """_("Shows a change, and calls what makes it.")"""
        say(f"{sign} {text}")
        if not self.dry_run:
            change(*arguments)

    def folder(self, path, mode, owner="root"):
        with suppress(OSError, KeyError):
            found, right = path.stat(), pwd.getpwnam(owner).pw_uid
            if found.st_uid == right and stat.S_IMODE(found.st_mode) == mode:
                return
        self.make("+", f"{path}/ ({owner}, {mode:04o})", make_folder, path, mode, owner)

    def file(self, path, text, mode=0o644):
        """_("Returns whether the file was another. One that is there keeps its owner and its mode.")"""
        if path.is_file() and path.read_text() == text:
            return False
        self.make("+", path, write, path, text, mode)
        return True

    def log(self, path):
        """_("One of nginx, with the rights that logrotate gives to those that follow. Returns whether there was none.")"""
        if path.exists():
            return False
        self.make("+", f"{path} (www-data, 0640)", make_log, path)
        return True

    def link(self, path, target):
        """_("Returns whether the link led elsewhere.")"""
        if path.is_symlink() and os.readlink(path) == target:
            return False
        self.make("+", f"{path} -> {target}", link, path, target)
        return True

    def remove(self, path):
        """_("A file, a link, or a folder with all that it holds.")"""
        if os.path.lexists(path):
            whole = path.is_dir() and not path.is_symlink()
            self.make("-", path, shutil.rmtree if whole else os.unlink, path)

    def run(self, *command):
        line = f"$ {shlex.join(map(str, command))}"
        if self.dry_run:
            say(line)
            return
        with step("{line}", line=line):
            run(*command, cwd="/")


def make_folder(path, mode, owner):
    path.mkdir(parents=True, exist_ok=True)
    shutil.chown(path, owner, pwd.getpwnam(owner).pw_gid)
    path.chmod(mode)


def make_log(path):
    path.touch(0o640)
    shutil.chown(path, "www-data", "adm")


def write(path, text, mode):
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    new.chmod(mode)
    if path.exists():
        shutil.copystat(path, new)
        os.chown(new, path.stat().st_uid, path.stat().st_gid)
    new.replace(path)
