"""The commands that tests run: which ones this machine has, and what is in their environment."""

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import pytest

# What a login shell has; the tests' own settings must not reach the sites. Package indexes and
# certificates are the machine's: they stay.
KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "PIP_", "UV_", "SSL_CERT_", "CURL_CA_BUNDLE")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name.startswith(KEPT_VARIABLES)}
# uv is among the tests' own packages.
WITH_UV = {**ENVIRONMENT, "PATH": f"{Path(sys.executable).parent}:{ENVIRONMENT['PATH']}"}
# What a shell may hold of another project; none of it may reach a site or its tools.
NOWHERE = "/proc/nowhere"
HOSTILE = {
    "ALLOWED_HOSTS": "other.example",
    "DJANGO_SETTINGS_MODULE": "other.settings",
    "GUNICORN_CMD_ARGS": "--bind=127.0.0.1:1 --workers=9",
    "LC_ALL": "fr_FR.ISO-8859-1",
    "LISTEN_FDS": "1",
    "NOTIFY_SOCKET": NOWHERE,
    "OTHER": "x",
    "PIP_PREFIX": NOWHERE,
    "PIP_REQUIRE_VIRTUALENV": "1",
    "PIP_TARGET": NOWHERE,
    "PIP_USER": "1",
    "PYTHONHOME": NOWHERE,
    "PYTHONPATH": NOWHERE,
    "SCRIPT_NAME": "/other",
    "SECRET_KEY": "x",
    "SUPERVISOR_SERVER_URL": NOWHERE,
    "TZ": "Asia/Tokyo",
    "UV_PYTHON": "3.9",
    "UV_SYSTEM_PYTHON": "1",
    "VIRTUAL_ENV": NOWHERE,
    "WEB_CONCURRENCY": "9",
}
# The PATH of a plain Debian: its own Python, no uv.
SYSTEM = "/usr/bin:/bin"
PYTHON = "/usr/bin/python3"
# As root, sites belong to another user.
USER = "nobody"
AS_USER = (
    ("setpriv", f"--reuid={USER}", "--regid=nogroup", "--clear-groups") if os.geteuid() == 0 else ()
)

Run = subprocess.CompletedProcess[str]


def lack(reason: str) -> NoReturn:
    """Skips the test, saying why; in CI it fails."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


def require(tool: str) -> str:
    """The tool's path; without it the test cannot be."""
    return shutil.which(tool) or lack(f"{tool} is not installed")


def pythons(*versions: str) -> dict[str, str]:
    """Version → path of those Pythons that this machine has; pyenv shows its own when asked to."""
    environment = dict(os.environ)
    if shutil.which("pyenv"):
        known = subprocess.check_output(["pyenv", "versions", "--bare"], text=True)
        environment["PYENV_VERSION"] = ":".join(known.split())
    found = {}
    for version in versions:
        command = [f"python{version}", "-c", "import sys; print(sys.executable)"]
        with suppress(FileNotFoundError, subprocess.CalledProcessError):
            path = subprocess.check_output(command, env=environment, stderr=subprocess.DEVNULL)
            found[version] = path.decode().strip()
    return found
