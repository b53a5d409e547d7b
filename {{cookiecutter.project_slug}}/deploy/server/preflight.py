"""_("What must be so before a command changes anything, each said with its remedy.")"""

import os
import re
import shutil
import socket
import subprocess

from . import facts
from .commands import Failed
from .site_user import other_user
from .supervisord_conf import shown
from .venvs import PYTHON

#: What the files of the service and the shell can hold
FACTS = {
    "FOLDER": r"/[A-Za-z0-9._-][A-Za-z0-9._/-]*[A-Za-z0-9._-]",
    "USER": r"(?!root$)[a-z_][a-z0-9_-]{0,30}",
    "DOMAIN": r"[a-z0-9][a-z0-9.-]*",
    "GROUP": r"[a-z0-9_-]+",
}


def require_facts():
    for name, pattern in FACTS.items():
        value = getattr(facts, name)
        if not re.fullmatch(pattern, value):
            raise Failed(
                _py("{name} = {value} in deploy/server/facts.py cannot be used: it must match {pattern}"),
                name=name,
                value=repr(value),
                pattern=pattern,
            )


def require_space(folder, megabytes, program):
    """_("The folder may be missing yet: then the disk of the next one above counts.")"""
    folder = next(each for each in (folder, *folder.parents) if each.exists())
    free = shutil.disk_usage(folder).free // 10**6
    if free < megabytes:
        raise Failed(
            _py("The disk of {folder} has {free} MB free and the site needs {needed}: free some and run {program} again."),
            folder=folder,
            free=free,
            needed=megabytes,
            program=program,
        )


def require_free(addresses, config):
    """_("No program may listen on these addresses yet; they stand in this config.")"""
    for address in addresses:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                raise Failed(
                    _py("{address} cannot be used ({reason}): stop the program that listens there, or change the address in {config}."),
                    address=shown(address),
                    reason=error.strerror,
                    config=config,
                ) from None


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
        raise Failed(
            _py("{user} cannot run {python}: take a Python that everybody can (sudo apt install python3 python3-venv)."),
            user=user,
            python=PYTHON,
        ) from None
