"""_("What must be so before a command changes anything, each said with its remedy.")"""

import os
import shutil
import socket
import subprocess
import sys
import unicodedata

from .commands import Failed
from .site_user import other_user
from .venvs import PYTHON

#: sun_path, less the ".PID" that supervisord adds while it binds: unix(7), and 4.4BSD's on macOS
SOCKET_PATH_BYTES = (104 if sys.platform == "darwin" else 108) - 1 - len(".4194304")


def require_space(folder, megabytes, program, least=None):
    """_("The folder may be missing yet: then the disk of the next one above counts. With least, no more than that must be free.")"""
    folder = next(each for each in (folder, *folder.parents) if each.exists())
    free = shutil.disk_usage(folder).free // 10**6
    if free < (least or megabytes):
        text = _py("The disk of {folder} has {free} MB free and the site needs {needed}: free some and run {program} again.")
        raise Failed(text, folder=folder, free=free, needed=megabytes, program=program)


def require_path(folder):
    """_("In supervisord.conf it stands for %(here)s, where these characters mean something.")"""
    for character in str(folder):
        if character in '%"[' or unicodedata.category(character) in ("Cc", "Cs"):
            text = _py("supervisord cannot work below {folder}, for the character {character}: move the project to a folder whose path is without it.")
            raise Failed(text, folder=ascii(str(folder)), character=ascii(character))
    length = len(os.fsencode(folder / "var" / "ctl.sock"))
    if length > SOCKET_PATH_BYTES:
        text = _py("The UNIX socket {path} would have {length} bytes and the system takes {limit}: move the project to a folder with a shorter path.")
        path = folder / "var" / "ctl.sock"
        raise Failed(text, path=path, length=length, limit=SOCKET_PATH_BYTES)


def require_free(addresses, config):
    """_("No program may listen on these addresses yet; they stand in this config.")"""
    for host, port in addresses:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                text = _py("{address} cannot be used ({reason}): stop the program that listens there, or change the address in {config}.")
                raise Failed(
                    text, address=f"{host}:{port}", reason=error.strerror, config=config
                ) from None


#% if cookiecutter.tasks == "celery"
def require_broker():
    if not shutil.which("redis-server"):
        text = _py("redis-server is missing, which keeps the tasks that wait: sudo apt install redis-server (with Homebrew: brew install redis).")
        raise Failed(text)


#% endif
def require_python(account, user):
    """_("The site's user must be able to run this Python: one in root's home is out of reach.")"""
    try:
        subprocess.run(
            [os.path.realpath(PYTHON), "-c", "import sqlite3, ssl"],
            check=True,
            capture_output=True,
            cwd="/",
            env={},
            **other_user(account),
        )
    except (OSError, subprocess.CalledProcessError):
        text = _py("{user} cannot run {python}: take a Python that everybody can (sudo apt install python3 python3-venv).")
        raise Failed(text, user=user, python=PYTHON) from None
