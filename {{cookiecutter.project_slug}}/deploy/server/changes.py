"""_("Changes the machine for deploy/install.py: each change is shown, and made unless it is a dry run.")"""

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

    def announce(self, sign, text):
        """_("Shows a change; True where it is to be made.")"""
        say(f"{sign} {text}")
        return not self.dry_run

    def folder(self, path, mode, owner="root"):
        with suppress(OSError, KeyError):
            found, right = path.stat(), pwd.getpwnam(owner).pw_uid
            if found.st_uid == right and stat.S_IMODE(found.st_mode) == mode:
                return
        if self.announce("+", f"{path}/ ({owner}, {mode:04o})"):
            path.mkdir(parents=True, exist_ok=True)
            shutil.chown(path, owner, pwd.getpwnam(owner).pw_gid)
            path.chmod(mode)

    def file(self, path, text, mode=0o644):
        """_("Returns whether the file was another.")"""
        if path.is_file() and path.read_text() == text:
            return False
        if self.announce("+", path):
            path.parent.mkdir(exist_ok=True)
            new = path.with_name(f"{path.name}.new")
            new.write_text(text)
            new.chmod(mode)
            new.replace(path)
        return True

    def edit(self, path, text):
        """_("As file(); but the file is there, and keeps its owner and its mode.")"""
        if path.read_text() == text:
            return False
        if self.announce("+", path):
            path.write_text(text)
        return True

    def link(self, path, target):
        """_("Returns whether the link led elsewhere.")"""
        if path.is_symlink() and os.readlink(path) == target:
            return False
        if self.announce("+", f"{path} -> {target}"):
            link(path, target)
        return True

    def remove(self, path):
        """_("A file, a link, or a folder with all that it holds.")"""
        if os.path.lexists(path) and self.announce("-", path):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def run(self, *command):
        line = f"$ {shlex.join(map(str, command))}"
        if self.dry_run:
            say(line)
            return
        with step("{line}", line=line):
            run(*command, cwd="/")
