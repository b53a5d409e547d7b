"""_("Changes the machine for deploy/install.sh: each change is shown, and made unless it is a dry run.")"""

import os
import pwd
import shlex
import shutil
import stat
from contextlib import contextmanager, suppress

from .commands import Failed, run, say, step
from .site_folder import link


class Changes:
    """_("Shown as + (written), - (removed) or $ (run). What is so already is neither shown nor made.")"""

    def __init__(self, dry_run):
        self.dry_run = dry_run

    def make(self, sign, text, change, *arguments):
        """_("Shows a change, and calls what makes it.")"""
        say(f"{sign} {text}")
        if self.dry_run:
            return
        try:
            change(*arguments)
        except OSError as error:
            sentence = _py("{path}: {reason}. Mend that, then run this again.")
            raise Failed(sentence, path=text, reason=error.strerror) from None

    def folder(self, path, mode, owner="root"):
        with suppress(OSError, KeyError):
            found, right = path.stat(), pwd.getpwnam(owner).pw_uid
            if found.st_uid == right and stat.S_IMODE(found.st_mode) == mode:
                return
        self.make("+", f"{path}/ ({owner}, {mode:04o})", make_folder, path, mode, owner)

    def file(self, path, text, mode=0o644):
        """_("Returns whether the file was another.")"""
        if content(path) == text.encode():
            return False
        self.make("+", path, write, path, text.encode(), mode)
        return True

    def log(self, path):
        """_("One of nginx, with the rights that logrotate gives to those that follow.")"""
        if not path.exists():
            self.make("+", f"{path} (www-data, 0640)", make_log, path)

    def link(self, path, target):
        """_("Returns whether the link led elsewhere.")"""
        if content(path) == target:
            return False
        self.make("+", f"{path} -> {target}", link, path, target)
        return True

    def remove(self, path):
        """_("A file, or a link but not what it leads to.")"""
        if os.path.lexists(path):
            self.make("-", path, os.unlink, path)

    def remove_folder(self, path):
        """_("With all that it holds, where it is a link or the place of a disk, too.")"""
        if path.exists():
            self.make("-", path, remove_tree, path)

    def run(self, *command):
        line = f"$ {shlex.join(map(str, command))}"
        if self.dry_run:
            say(line)
            return
        with step("{line}", line=line):
            run(*command, cwd="/")

    @contextmanager
    def whole(self, *paths):
        """_("Puts these files and links back where what is done within it fails.")"""
        before = {path: content(path) for path in paths}
        try:
            yield
        except BaseException:
            for path, was in before.items():
                if was is None:
                    self.remove(path)
                elif isinstance(was, str):
                    self.link(path, was)
                else:
                    self.file(path, was.decode())
            raise


def content(path):
    """_("Of a file, its bytes; of a link, where it leads; None of what is not there.")"""
    if path.is_symlink():
        return os.readlink(path)
    return path.read_bytes() if path.is_file() else None


def make_folder(path, mode, owner):
    path.mkdir(parents=True, exist_ok=True)
    shutil.chown(path, owner, pwd.getpwnam(owner).pw_gid)
    path.chmod(mode)


def make_log(path):
    path.touch(0o640)
    shutil.chown(path, "www-data", "adm")


def write(path, data, mode):
    """_("Whole or not at all; one that is there keeps its owner and its mode.")"""
    new = path.with_name(f"{path.name}.new")
    try:
        new.unlink(missing_ok=True)
        new.touch(0o600)
        new.write_bytes(data)
        if path.is_file() and not path.is_symlink():
            found = path.stat()
            os.chown(new, found.st_uid, found.st_gid)
            mode = stat.S_IMODE(found.st_mode)
        new.chmod(mode)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def remove_tree(path):
    """_("A folder where a disk is mounted stays, empty.")"""
    shutil.rmtree(path.resolve(), ignore_errors=True)
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        text = _py("{path} stays: a disk is mounted there, or it cannot be removed.")
        say(text, path=path)
