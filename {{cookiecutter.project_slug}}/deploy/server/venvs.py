"""_("Makes a venv with the packages of a requirements.txt, or of several, by uv or by pip, whichever the machine has.")"""

import ast
import csv
import hashlib
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from . import environment, secret_files
from .commands import Failed, run

#: Not the Python of an active venv, which may be the one that is made anew
PYTHON = sys._base_executable
#: A package in requirements.txt; not one that only some machines need
PIN = re.compile(r"^([\w.-]+)==(\S+)(?!.*;)", re.MULTILINE)
#: What leads packages elsewhere, in a uv.toml
ELSEWHERE = re.compile(r"""\b(target|prefix)\s*=\s*(".*?"|'.*?'),?""")


class Venv:
    """_("A venv in this folder. Its stamp says what it was made from, once it is whole.")"""

    def __init__(self, path, *requirements):
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
        digests = (hashlib.sha256(each.read_bytes()) for each in self.requirements)
        return [str(self.path), python, *(each.hexdigest() for each in digests)]

    def stamped(self):
        return self.stamp.read_text().splitlines() if self.stamp.exists() else []

    def records(self):
        """_("The list of files of each package in the requirements; None where it is not installed.")"""
        records = self.path.glob("lib/python3.*/site-packages/*.dist-info/RECORD")
        installed = {normal(record.parent.name): record for record in records}
        text = "\n".join(each.read_text() for each in self.requirements)
        pins = map("-".join, PIN.findall(text))
        return [installed.get(normal(f"{pin}.dist-info")) for pin in pins]

    def is_whole(self):
        """_("Whether no package has lost a file; one that has gone as a whole can be installed again.")"""
        return all(map(has_its_files, filter(None, self.records())))

    def is_complete(self):
        fits = self.stamped() == self.made_from()
        return fits and all(self.records()) and self.is_whole()

    def can_be_updated(self):
        """_("Whether nothing but its requirements has changed.")"""
        return self.stamped()[:2] == self.made_from()[:2] and self.is_whole()

    def commands(self, packages):
        """_("What makes it, or brings it up to date: texts and commands, to be run one by one.")"""
        source = ["--require-hashes"]
        for file in self.requirements:
            source += ["-r", file]
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
                (*uv, "venv", "--no-config", "--python", PYTHON, self.path),
            )
        install = (*uv, *self.uv_config(), "pip", "install", "--no-deps")
        yield (
            _py("Installing the requirements (uv)"),
            (*install, "--python", self.python, *source),
        )

    def uv_config(self):
        """_("The caller's uv.toml may say where the index is; what would lead the packages elsewhere is left out.")"""
        folder = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
        config = os.environ.get("UV_CONFIG_FILE") or f"{folder}/uv/uv.toml"
        text = Path(config).read_text("utf-8") if os.access(config, os.R_OK) else ""
        if not ELSEWHERE.search(text):
            return ()
        copy = self.path / "uv.toml"
        secret_files.write(copy, ELSEWHERE.sub("", text), None)
        return ("--config-file", copy)

    def pip(self, source):
        #: The requirements are complete: pip need not look for more (--no-deps). compileall is faster than pip at compiling.
        install = ("install", "--no-deps", "--no-compile", "--no-input")
        install += ("--disable-pip-version-check", *source)
        #: pip fills other venvs than its own by this file, and installs a pip there too. Its option --python does so in a second process, which would go on when the first is killed.
        if runner := runner_of_pip():
            pip = (self.python, runner)
            venv = (PYTHON, "-m", "venv", "--without-pip", self.path)
            text = _py("Making the venv")
        else:
            pip = (self.python, "-m", "pip")
            text, venv = self.venv_with_pip()
        if not self.path.exists():
            yield text, venv
        yield _py("Installing the requirements"), with_index_alone(pip, install)

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
        for name in ("supervisord", "supervisorctl"):
            self.isolate(self.path / "bin" / name)
        self.write_stamp()

    def write_stamp(self):
        new = self.stamp.with_suffix(".new")
        new.write_text("\n".join(self.made_from()) + "\n")
        new.replace(self.stamp)

    def isolate(self, script):
        """_("By -I in its first lines, Python heeds no variable of the shell that starts it (PYTHONHOME, PYTHONPATH).")"""
        if not script.exists():
            text = _py("The packages went elsewhere than to {venv}: remove target and prefix from the settings of pip or uv.")
            raise Failed(text, venv=self.path)
        python = r"(/bin/python[\d.]*[\"']?)(?= \"|\n)"
        script.write_text(re.sub(python, r"\1 -I", script.read_text(), count=1))


def normal(name):
    """_("One package has several spellings.")"""
    return re.sub("[-_.]+", "-", name).lower()


def has_its_files(record):
    """_("But for those that Python compiles, which come and go.")"""
    packages = record.parents[1]
    with record.open(newline="", encoding="utf-8") as lines:
        names = [line[0] for line in csv.reader(lines) if line]
    files = [f"{packages}/{name}" for name in names if not name.endswith(".pyc")]
    return all(map(os.path.exists, files))


def with_index_alone(pip, words):
    """_("The words of a command of pip, read when it starts. Of pip's config files, only what passes from a shell counts: not target, prefix or user.")"""
    said = run(*pip, "config", "list")
    settings = re.findall(r"^(?:install|global)\.([\w-]+)=(.+)$", said, re.MULTILINE)
    #: [install] counts more than [global], and a variable more than both.
    for key, value in reversed(settings):
        name = "PIP_" + key.upper().replace("-", "_")
        if environment.passes(name, environment.PACKAGES):
            os.environ.setdefault(name, ast.literal_eval(value))
    os.environ["PIP_CONFIG_FILE"] = os.devnull
    yield from (*pip, *words)


def runner_of_pip():
    """_("That of PYTHON's own pip; None where it has none, or one before 22.3.")"""
    with suppress(Failed):
        pip = Path(run(PYTHON, "-c", "import pip; print(pip.__file__)"))
        runner = pip.with_name("__pip-runner__.py")
        return runner if runner.exists() else None
    return None


def can(*command):
    """_("Whether the command runs without an error.")"""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
