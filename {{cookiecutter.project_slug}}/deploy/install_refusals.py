"""_("What must be so before deploy/install.py changes anything, each said with its remedy.")"""

import os
import pwd
import shutil
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from install_service import CERTIFICATE, CODE, SITE
from release_commands import Failed
from release_folder import Folder

USER = {{ cookiecutter.run_user | python }}
#: The site's, then its web interface's
ADDRESSES = [
    {{ cookiecutter.bind | python }},
{%- if cookiecutter.web_interface != "off" %}
    {{ cookiecutter.web_interface | python }},
{%- endif %}
]
FOLDER = Folder(SITE)
#: Free megabytes: for the venv, the code and the first logs
SPACE = 200


def refuse(service):
    """_("Ends the script where the site cannot be installed.")"""
    require_place()
    require_packages()
    service.require_free()
    require_python()
    require_ports()


def require_place():
    if CODE == SITE:
        raise Failed(
            _py("{folder} is where the site will live: move this code elsewhere, below /root say, and install it from there."),
            folder=SITE,
        )
    if SITE.exists() and SITE.stat().st_uid != 0:
        raise Failed(
            _py("{folder} is there and belongs to {user}: move it, or give it to root (chown)."),
            folder=SITE,
            user=SITE.owner(),
        )
    folder = next(each for each in (SITE, *SITE.parents) if each.exists())
    free = shutil.disk_usage(folder).free // 10**6
    if free < SPACE:
        raise Failed(
            _py("The disk of {folder} has {free} MB free and the site needs {space}: free some and run this again."),
            folder=folder,
            free=free,
            space=SPACE,
        )


def require_packages():
    missing = [name for name in ("nginx", "cron") if not shutil.which(name)]
    if missing:
        raise Failed(
            _py("Some programs are missing: sudo apt install {names}"),
            names=" ".join(missing),
        )


def require_python():
    """_("A Python in root's home, say, is out of reach of the site.")"""
    user = account() or pwd.getpwnam("nobody")
    python = os.path.realpath(sys._base_executable)
    try:
        subprocess.run(
            [python, "-c", "import sqlite3, ssl"],
            check=True,
            capture_output=True,
            cwd="/",
            env={},
            user=user.pw_uid,
            group=user.pw_gid,
            extra_groups=[],
        )
    except (OSError, subprocess.CalledProcessError):
        raise Failed(
            _py("{user} cannot run {python}: take a Python that everybody can (sudo apt install python3 python3-venv)."),
            user=USER,
            python=python,
        ) from None


def require_ports():
    """_("Nobody else may listen where the site, its web interface and nginx will.")"""
    addresses = [] if FOLDER.is_running() else [*ADDRESSES]
    if not nginx_is_running():
        addresses.append("0.0.0.0:80")
        if CERTIFICATE.exists():
            addresses.append("0.0.0.0:443")
    for address in addresses:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(split(address))
            except OSError as error:
                raise Failed(
                    _py("{address} cannot be used ({reason}): stop the program that listens there, or give the site another address."),
                    address=address,
                    reason=error.strerror,
                ) from None


def account():
    """_("The site's user; None as long as the machine has none of this name.")"""
    with suppress(KeyError):
        return pwd.getpwnam(USER)


def split(address):
    host, _, port = address.rpartition(":")
    return host, int(port)


def nginx_is_running():
    with suppress(OSError, ValueError):
        return Path("/proc", str(int(Path("/run/nginx.pid").read_text()))).exists()
    return False
