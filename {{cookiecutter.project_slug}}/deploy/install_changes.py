"""_("What deploy/install.py changes the machine with: a change is shown, and made only where it lacks.")"""

import os
import pwd
import shlex
import shutil
import stat
from contextlib import suppress

from release_commands import run, say, step
from release_folder import link


class Changes:
    """_("The signs: + is written, - is removed, $ is run.")"""

    def __init__(self, dry_run):
        self.dry_run = dry_run

    def show(self, sign, text):
        """_("Whether the change is to be made.")"""
        say(f"{sign} {text}")
        return not self.dry_run

    def folder(self, path, mode, owner="root"):
        with suppress(OSError, KeyError):
            found, right = path.stat(), pwd.getpwnam(owner).pw_uid
            if found.st_uid == right and stat.S_IMODE(found.st_mode) == mode:
                return
        if self.show("+", f"{path}/ ({owner}, {mode:04o})"):
            path.mkdir(parents=True, exist_ok=True)
            shutil.chown(path, owner, pwd.getpwnam(owner).pw_gid)
            path.chmod(mode)

    def file(self, path, text, mode=0o644):
        """_("Says whether it was not so already.")"""
        if path.is_file() and path.read_text() == text:
            return False
        if self.show("+", path):
            new = path.with_name(f"{path.name}.new")
            new.write_text(text)
            new.chmod(mode)
            new.replace(path)
        return True

    def edit(self, path, text):
        """_("As file(), but the file is there, and keeps its owner and its rights.")"""
        if path.read_text() == text:
            return False
        if self.show("+", path):
            path.write_text(text)
        return True

    def link(self, path, target):
        if path.is_symlink() and os.readlink(path) == target:
            return False
        if self.show("+", f"{path} -> {target}"):
            link(path, target)
        return True

    def remove(self, path):
        """_("A file, a link, or a folder with all that it holds.")"""
        if os.path.lexists(path) and self.show("-", path):
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
