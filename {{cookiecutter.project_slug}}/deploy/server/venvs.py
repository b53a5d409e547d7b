"""_("Makes a venv with the packages of a requirements.txt, by uv or by pip, whichever the machine has.")"""

import hashlib
import os
import shutil
import subprocess
import sys
from contextlib import suppress

from .commands import Failed

#: Not the Python of an active venv, which may be the one that is made anew
PYTHON = sys._base_executable


class Venv:
    """_("A venv in this folder. Its stamp says what it was made from, once it is whole.")"""

    def __init__(self, path, requirements):
        self.path = path
        self.requirements = requirements
        self.python = path / "bin" / "python"
        self.stamp = path / "bootstrap.stamp"

    def made_from(self):
        """_("What it is made from: the folder, its Python, the fingerprint of the requirements.")"""
        version = "import sys; print(*sys.version_info[:2])"
        python = "no python"
        with suppress(OSError, subprocess.CalledProcessError):
            command = (self.python, "-S", "-c", version)
            python = subprocess.check_output(command, text=True).strip()
        digest = hashlib.sha256(self.requirements.read_bytes()).hexdigest()
        return [str(self.path), python, digest]

    def stamped(self):
        return self.stamp.read_text().splitlines() if self.stamp.exists() else []

    def is_complete(self):
        return self.stamped() == self.made_from()

    def can_be_updated(self):
        """_("Whether nothing but its requirements has changed.")"""
        return self.stamped()[:2] == self.made_from()[:2]

    def commands(self, packages):
        """_("What makes it, or brings it up to date: texts and commands, to be run one by one.")"""
        source = ["--require-hashes", "-r", self.requirements]
        if packages.wheelhouse:
            source += ["--find-links", packages.wheelhouse]
        if packages.offline:
            source.append("--no-index")
        return self.uv(source) if shutil.which("uv") else self.pip(source)

    def uv(self, source):
        #: uv keeps what it downloads in the home folder; www-data, say, may not write there.
        home = os.environ.get("HOME", "")
        uv = ("uv",) if os.access(home, os.W_OK) else ("uv", "--no-cache")
        if not self.path.exists():
            yield (
                _py("Making the venv (uv)"),
                (*uv, "venv", "--no-project", "--python", PYTHON, self.path),
            )
        yield (
            _py("Installing the requirements (uv)"),
            (*uv, "pip", "install", "--no-deps", "--python", self.python, *source),
        )

    def pip(self, source):
        #: The requirements are complete: pip need not look for more (--no-deps). compileall is faster than pip at compiling.
        install = ("install", "--no-deps", "--no-compile", "--no-input")
        install += ("--disable-pip-version-check", *source)
        #: pip fills other venvs than its own from 22.3 on (--python), and installs a pip there too.
        new_pip = 'import pip; exit(tuple(map(int, pip.__version__.split(".")[:2])) < (22, 3))'
        if can(PYTHON, "-c", new_pip):
            pip = (PYTHON, "-m", "pip", "--python", self.python)
            venv = (PYTHON, "-m", "venv", "--without-pip", self.path)
            text = _py("Making the venv")
        else:
            pip = (self.python, "-m", "pip")
            text, venv = self.venv_with_pip()
        if not self.path.exists():
            yield text, venv
        yield _py("Installing the requirements"), (*pip, *install)

    def venv_with_pip(self):
        if can(PYTHON, "-c", "import ensurepip; ensurepip.version()"):
            return _py("Making the venv"), (PYTHON, "-m", "venv", self.path)
        if shutil.which("virtualenv"):
            return (
                _py("Making the venv (virtualenv)"),
                ("virtualenv", "--python", PYTHON, self.path),
            )
        text = _py("{python} can make no venv with pip. On Debian or Ubuntu: sudo apt install python3-venv")
        raise Failed(text, python=PYTHON)

    def finish(self):
        """_("supervisord finds its config next to its venv, and deploy/supervisor_plugin on Python's path.")"""
        config = self.path / "supervisord.conf"
        config.unlink(missing_ok=True)
        config.symlink_to("../deploy/supervisord.conf")
        for packages in self.path.glob("lib/python3.*/site-packages"):
            (packages / "deploy.pth").write_text("../../../../deploy\n")
        new = self.stamp.with_suffix(".new")
        new.write_text("\n".join(self.made_from()) + "\n")
        new.replace(self.stamp)


def can(*command):
    """_("Whether the command runs without an error.")"""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
