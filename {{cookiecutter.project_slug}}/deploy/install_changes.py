"""_("What deploy/install.py changes the machine with: each change is shown, and made only where it lacks.")"""

import os
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path


class Failed(Exception):
    """_("Ends the script. Its text is the reason, and the remedy.")"""


def say(text):
    print(text, flush=True)


class Changes:
    """_("Shows each change: + what is written, - what is removed, $ what is run.")"""

    def __init__(self, dry_run):
        self.dry_run = dry_run

    def show(self, sign, text):
        """_("Whether the change is to be made.")"""
        say(f"{sign} {text}")
        return not self.dry_run

    def folder(self, path, mode, account=None):
        """_("A folder of root's, or of this account.")"""
        owner = (account.pw_uid, account.pw_gid) if account else (0, 0)
        if path.is_dir() and not path.is_symlink():
            found = path.stat()
            if (found.st_uid, found.st_gid) == owner and stat.S_IMODE(found.st_mode) == mode:
                return
        name = account.pw_name if account else "root"
        if self.show("+", f"{path}/ ({name}, {mode:04o})"):
            path.mkdir(parents=True, exist_ok=True)
            os.chown(path, *owner, follow_symlinks=False)
            path.chmod(mode)

    def file(self, path, text, mode=0o644):
        """_("Whether the file was not so already.")"""
        if path.is_file() and path.read_text() == text:
            return False
        if self.show("+", path):
            new = path.with_name(f"{path.name}.new")
            new.write_text(text)
            new.chmod(mode)
            new.replace(path)
        return True

    def link(self, path, target):
        if path.is_symlink() and os.readlink(path) == str(target):
            return
        if self.show("+", f"{path} -> {target}"):
            path.symlink_to(target)

    def remove(self, path):
        """_("A file, a link, or a folder with all that it holds.")"""
        if not os.path.lexists(path):
            return
        if self.show("-", path):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def run(self, *command):
        """_("Where the command fails, what it says is the reason.")"""
        words = shlex.join(map(str, command))
        if self.show("$", words):
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, cwd="/"
            )
            if done.returncode:
                raise Failed(f"{words}:\n{done.stdout}{done.stderr}".strip())
