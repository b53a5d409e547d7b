"""bootstrap.sh as its users run it: real package managers and real accidents.

Most runs install from one folder of wheels, without the network: its speed does not matter then.
"""

import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support.commands import ENVIRONMENT, HOSTILE, PYTHON, SYSTEM, USER, Run, pythons, require
from support.namespaces import namespace
from support.ports import free_port
from support.project import Project, Site
from support.waiting import eventually
from support.wheels import tiny_wheel

pytestmark = pytest.mark.slow

TOOLS = ("uv", "pip")
VENV = {"uv": "Making the venv (uv)", "pip": "Making the venv"}
INSTALL = {"uv": "Installing the requirements (uv)", "pip": "Installing the requirements"}
DATABASE = "Preparing the site (migrate)"
STATIC = "Preparing the site (collectstatic)"
SITE = "Preparing the site (migrate collectstatic)"
PREPARE = "Preparing the site"
NEW_VENV = {"uv": [VENV["uv"], INSTALL["uv"]], "pip": [VENV["pip"], INSTALL["pip"]]}
LACKS_VALUE = "lacks its value, or takes none; ./bootstrap.sh --help lists the options."
NO_SPACE = "MB free and the site needs 150: free some and run ./bootstrap.sh again."


def steps(run: Run) -> list[str]:
    """What a run without an accident did, as it said itself."""
    said, end, _ = run.stdout.partition("Everything is in place.\n")
    assert (end != "", run.stderr) == (True, ""), run.stdout
    return [line.rstrip(" .") for line in said.splitlines()]


def refusal(run: Run) -> str:
    """The one sentence with which a run refused."""
    assert (run.returncode, run.stderr.count("\n")) == (1, 1), run.stdout + run.stderr
    return run.stderr.rstrip("\n")


def lives(group: int) -> bool:
    """Whether a process of this group still runs; a zombie does not."""
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, its_group = file.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                return True
    return False


@dataclass
class Started:
    """A bootstrap.sh at work, in a process group of its own as a terminal gives one."""

    process: subprocess.Popen[bytes]
    output: Path

    @property
    def said(self) -> str:
        return self.output.read_text()

    def reaches(self, step: str) -> None:
        """Returns when the step has begun."""
        eventually(lambda: f"{step} " in self.said or self.process.poll() is not None, 60)
        assert self.process.poll() is None, self.said

    def signal(self, number: int) -> int:
        """Sends a signal to the whole group; the exit code, as the shell's parent sees it."""
        os.killpg(self.process.pid, number)
        code = self.process.wait(10)
        if number == signal.SIGKILL:
            eventually(lambda: not lives(self.process.pid))
        return code


@dataclass
class Bootstrapped(Site):
    """A project for bootstrap.sh, which may have run or not."""

    uv: Path = Path()
    wheels: Path = Path()
    # Words before every command, which take it into another namespace.
    inside: tuple[str, ...] = ()

    def run(self, *command: str, **options: Any) -> Run:
        return super().run(*self.inside, *command, **options)

    def environment(self, tool: str) -> dict[str, str]:
        return {**ENVIRONMENT, "PATH": SYSTEM if tool == "pip" else f"{self.uv}:{SYSTEM}"}

    @property
    def command(self) -> tuple[str, ...]:
        return ("./bootstrap.sh", "--offline", "--wheelhouse", str(self.wheels))

    def bootstrap(self, tool: str = "uv", *before: str, **options: Any) -> Run:
        """A whole run; `before` stands before the command."""
        options.setdefault("env", self.environment(tool))
        return self.run(*before, *self.command, **options)

    @contextmanager
    def started(self, tool: str = "uv") -> Iterator[Started]:
        with tempfile.NamedTemporaryFile() as output:
            process = subprocess.Popen(
                [*self.inside, *self.command],
                cwd=self.path,
                env=self.environment(tool),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                yield Started(process, Path(output.name))
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                eventually(lambda: not lives(process.pid))

    def check(self) -> None:
        """Asserts that everything is there and fits together."""
        self.python("manage.py", "migrate", "--check")  # after all that `check` does
        self.run("venv/bin/pip", "check")
        self.run("venv/bin/supervisord", "--version")
        self.check_static_files()

    def check_static_files(self) -> None:
        """Asserts that each has been collected as it is now."""
        self.run("test", "-s", f"var/static/manifests/{self.path.name}/staticfiles.json")
        for source in self.path.glob("[!v]*/static/*/*"):
            copy = Path("var", "static", *source.parts[-2:])
            self.run("cmp", str(source.relative_to(self.path)), str(copy))


@pytest.fixture(scope="module")
def public(short_folder: Path) -> Path:
    """A folder that every user may enter."""
    folder = short_folder / "public"
    folder.mkdir()
    return folder


def project(bake: Callable[..., Project], folder: Path, **answers: str) -> Bootstrapped:
    """A new project with ports of its own; uv and the wheels are in the folder."""
    port, web_port = free_port(), free_port()
    answers |= {"bind": f"127.0.0.1:{port}", "web_interface": f"127.0.0.1:{web_port}"}
    return Bootstrapped(bake(**answers).path, port, web_port, folder / "uv", folder / "wheels")


@pytest.fixture(scope="module")
def complete(bake: Callable[..., Project], public: Path) -> Iterator[Bootstrapped]:
    """A project that is set up; a test may spoil what bootstrap.sh then repairs.

    It fills the folder of wheels, by the command that --help shows.
    """
    require(PYTHON)
    site = project(bake, public)
    site.uv.mkdir()
    shutil.copy(Path(sys.executable).parent / "uv", site.uv)
    site.run("./bootstrap.sh", env=site.environment("uv"))
    command = re.search("venv/bin/pip download .*", site.run("./bootstrap.sh", "--help").stdout)
    assert command
    site.run(*command[0].replace("DIR", str(site.wheels)).split())
    yield site
    site.stop()


@pytest.fixture(scope="module")
def new(complete: Bootstrapped, bake: Callable[..., Project]) -> Callable[..., Bootstrapped]:
    """Bakes a project that can be set up with the same wheels."""
    return lambda **answers: project(bake, complete.uv.parent, **answers)


# The first run


@dataclass
class FirstRun:
    """The plain command in a new project: from the index, with no standard input and no umask."""

    tool: str
    site: Bootstrapped
    files_before: list[str]
    run: Run
    longest_silence: float


@pytest.fixture(scope="module", params=TOOLS)
def first_run(request: pytest.FixtureRequest, new: Callable[..., Bootstrapped]) -> FirstRun:
    site = new()
    files = [str(file.relative_to(site.path)) for file in site.path.rglob("*") if file.is_file()]
    said, times = b"", [time.monotonic()]
    with subprocess.Popen(
        ["sh", "-c", "umask 000; exec ./bootstrap.sh <&-"],
        cwd=site.path,
        env=site.environment(request.param),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout
        while chunk := os.read(process.stdout.fileno(), 4096):
            said += chunk
            times.append(time.monotonic())
    assert process.returncode == 0, said.decode()
    silence = max(later - earlier for earlier, later in pairwise(times))
    return FirstRun(request.param, site, files, Run([], 0, said.decode(), ""), silence)


def test_one_command_does_the_whole_set_up(first_run: FirstRun) -> None:
    assert steps(first_run.run) == [*NEW_VENV[first_run.tool], SITE]
    first_run.site.check()


def test_it_says_what_to_run_next(first_run: FirstRun) -> None:
    said = first_run.run.stdout
    assert "  venv/bin/supervisord  " in said
    assert f"start the site: http://127.0.0.1:{first_run.site.port}/\n" in said
    assert "  venv/bin/supervisorctl status  " in said
    assert "  venv/bin/supervisorctl shutdown  " in said
    assert f"Web interface: http://127.0.0.1:{first_run.site.web_port}/ (user: admin; " in said


def test_it_shows_a_sign_of_life_every_two_seconds(first_run: FirstRun) -> None:
    assert first_run.longest_silence < 2.5


def test_git_sees_nothing_of_what_it_made(first_run: FirstRun) -> None:
    first_run.site.run(require("git"), "init", "--quiet")
    first_run.site.run("git", "add", "--all")
    tracked = first_run.site.run("git", "ls-files").stdout.split()
    assert sorted(tracked) == sorted(first_run.files_before)


def test_secrets_are_long_and_their_owners_alone(
    first_run: FirstRun, complete: Bootstrapped
) -> None:
    """Not two sites have the same, nor has one the same twice."""
    secrets = set()
    for site in (first_run.site, complete):
        for name, key in ((".env", "SECRET_KEY="), ("deploy/web_interface.conf", "password = ")):
            assert stat.S_IMODE((site.path / name).stat().st_mode) == 0o600
            secrets |= set(re.findall(f"^{key}(.+)$", (site.path / name).read_text(), re.MULTILINE))
    assert len(secrets) == 4
    assert all(re.fullmatch(r"\w{64}", secret) for secret in secrets)


@pytest.mark.parametrize(
    ("locked", "spoilt"), [(r"sha256:\w+", "sha256:" + "0" * 64), (r" \\\n +--hash=\S+", "")]
)
@pytest.mark.parametrize("tool", TOOLS)
def test_a_package_whose_hash_is_wrong_or_missing_is_refused(
    tool: str, locked: str, spoilt: str, new: Callable[..., Bootstrapped]
) -> None:
    site = new()
    lock = site.path / "requirements.txt"
    lock.write_text(re.sub(locked, spoilt, lock.read_text()))
    done = site.bootstrap(tool, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f'It failed: "{INSTALL[tool]}".')
    assert not list(site.path.glob("venv/lib/*/site-packages/django"))


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.usefixtures("as_root")
def test_offline_it_needs_no_network(
    tool: str, new: Callable[..., Bootstrapped], tmp_path: Path
) -> None:
    """Nor caches, nor settings; in folders of any name, wherever it is called."""
    site = new()
    parent = site.path.parent
    site.path = site.path.rename(parent / "un été à Paris")
    (parent / "mes paquets").symlink_to(site.wheels)
    settings = {
        "HOME": str(tmp_path),
        "PATH": site.environment(tool)["PATH"],
        "PIP_CONFIG_FILE": os.devnull,
        "UV_NO_CONFIG": "1",
        "CDPATH": str(parent),
    }
    offline = (require("unshare"), "--net", "env", f"--chdir={parent}")
    command = (f"{site.path.name}/bootstrap.sh", "--wheelhouse", "mes paquets", "--offline")
    assert steps(site.run(*offline, *command, env=settings)) == [*NEW_VENV[tool], SITE]
    site.check()
    site.start()
    site.stop()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--offline"], "--offline needs --wheelhouse DIR, a folder with the packages."),
        (["--wheelhouse"], f"--wheelhouse {LACKS_VALUE}"),
        (["--wheelhouse", ""], '--wheelhouse needs a folder that exists, not "".'),
        (["--offline=x"], f"--offline {LACKS_VALUE}"),
        (["--wheelhouse", "x y"], '--wheelhouse needs a folder that exists, not "x y".'),
        (["--port"], f"--port {LACKS_VALUE}"),
        (["--port", "80"], '--port needs a number from 1024 to 65534, not "80".'),
        (["--port=8o"], '--port needs a number from 1024 to 65534, not "8o".'),
        (["--ofline"], "--ofline is not an option; ./bootstrap.sh --help lists them."),
        (["x"], "x is not an option; ./bootstrap.sh --help lists them."),
    ],
)
def test_a_wrong_option_is_said(
    complete: Bootstrapped, arguments: list[str], sentence: str
) -> None:
    assert refusal(complete.run("./bootstrap.sh", *arguments, check=False)) == sentence


def test_it_speaks_french_and_the_shell_of_macos(new: Callable[..., Bootstrapped]) -> None:
    """There, sh is bash; it says nothing of the jobs that it ends."""
    site = new(language="fr")
    done = site.bootstrap("uv", require("bash"), "--posix")
    assert done.stderr == ""
    assert [line.rstrip(" .") for line in done.stdout.splitlines()[:4]] == [
        "Création du venv (uv)",
        "Installation des dépendances (uv)",
        "Préparation du site (migrate collectstatic)",
        "Tout est en place",
    ]
    assert f"démarrer le site : http://127.0.0.1:{site.port}/\n" in done.stdout
    sentence = "--offline exige --wheelhouse DOSSIER, un dossier qui contient les paquets."
    assert refusal(site.run("./bootstrap.sh", "--offline", check=False)) == sentence


# What the shell and the machine have, and who asks


PIP_CONF = """
[global]
no-index = true
user = true
prefix = {elsewhere}
[install]
find-links = {wheels}
target = {elsewhere}
"""
UV_TOML = """
no-index = true
find-links = ["{wheels}"]
[pip]
target = "{elsewhere}"
"""


@pytest.mark.parametrize("tool", TOOLS)
def test_of_the_shell_nothing_but_the_package_index_counts(
    tool: str, new: Callable[..., Bootstrapped], tmp_path: Path
) -> None:
    """For bootstrap.sh, and for supervisord, supervisorctl and manage.py in the same shell."""
    site = new()
    elsewhere = tmp_path / "elsewhere"
    for name, text in (("pip/pip.conf", PIP_CONF), ("uv/uv.toml", UV_TOML)):
        config = tmp_path / ".config" / name
        config.parent.mkdir(parents=True)
        config.write_text(text.format(elsewhere=elsewhere, wheels=site.wheels))
    shell = {**HOSTILE, "HOME": str(tmp_path), "PATH": site.environment(tool)["PATH"]}
    assert steps(site.run("./bootstrap.sh", env=shell)) == [*NEW_VENV[tool], SITE]
    assert not elsewhere.exists()
    site.check()
    try:
        site.run("venv/bin/supervisord", env=shell)
        eventually(site.answers)
        site.await_workers()
        assert site.run("venv/bin/supervisorctl", "status", env=shell).stdout.count("RUNNING") == 3
        for pid in site.masters().values():
            found = Path(f"/proc/{pid}/environ").read_text().split("\0")
            assert not {f"{name}={value}" for name, value in HOSTILE.items()} & {*found}
    finally:
        site.stop()
    for name in ("PYTHONHOME", "PYTHONPATH"):  # without a Python there is no manage.py
        del shell[name]
    site.python("manage.py", "check", env=shell)


HIDE = """
mount -t tmpfs none /mnt
mkdir /mnt/upper /mnt/scratch
for path; do
    mkdir -p "/mnt/upper/$(dirname "$path")"
    mknod "/mnt/upper/$path" c 0 0
done
mount -t overlay -o lowerdir=/usr,upperdir=/mnt/upper,workdir=/mnt/scratch none /usr
umount --lazy /mnt
"""


@contextmanager
def without(site: Bootstrapped, *packages: str) -> Iterator[Bootstrapped]:
    """The site on the same Debian without these packages."""
    find = "import sysconfig; print(sysconfig.get_path('stdlib'))"
    library = subprocess.check_output([PYTHON, "-c", find], text=True).strip()
    files = {
        "python3-venv": f"{library}/ensurepip",
        "python3-pip": "/usr/lib/python3/dist-packages/pip",
        "virtualenv": "/usr/bin/virtualenv",
    }
    hidden = [files[package].removeprefix("/usr/") for package in packages]
    with namespace(site.path, HIDE, *hidden) as inside:
        for name in hidden:
            assert site.run(*inside, "test", "-e", f"/usr/{name}", check=False).returncode == 1
        yield replace(site, inside=inside)


@pytest.mark.parametrize(
    ("missing", "venv", "made_by"),
    [
        (["python3-venv", "virtualenv"], VENV["pip"], "--without-pip"),
        (["python3-pip", "virtualenv"], VENV["pip"], "-m venv"),
        (["python3-pip", "python3-venv"], "Making the venv (virtualenv)", "virtualenv = "),
    ],
)
@pytest.mark.usefixtures("as_root")
def test_pip_comes_from_whatever_debian_package_is_there(
    complete: Bootstrapped, missing: list[str], venv: str, made_by: str
) -> None:
    shutil.rmtree(complete.path / "venv")
    with without(complete, *missing) as site:
        assert steps(site.bootstrap("pip")) == [venv, INSTALL["pip"]]
        site.check()
    assert made_by in (complete.path / "venv" / "pyvenv.cfg").read_text()


@pytest.mark.usefixtures("as_root")
def test_without_any_it_names_the_package_to_install(new: Callable[..., Bootstrapped]) -> None:
    with without(new(), "python3-pip", "python3-venv", "virtualenv") as site:
        sentence = refusal(site.bootstrap("pip", check=False))
    assert sentence.endswith(
        " can make no venv with pip. On Debian or Ubuntu: sudo apt install python3-venv"
    )


# What this machine has of Pythons that are too old; and none at all.
OLD_PYTHONS = {"none": "", **pythons("2.7", "3.8", "3.9")}


@pytest.mark.parametrize("python", OLD_PYTHONS.values(), ids=OLD_PYTHONS)
def test_a_python_that_is_too_old_is_said(
    complete: Bootstrapped, tmp_path: Path, python: str
) -> None:
    for tool in Path(PYTHON).parent.iterdir():
        if not tool.name.startswith("python"):
            (tmp_path / tool.name).symlink_to(tool)
    if python:
        (tmp_path / "python3").symlink_to(python)
    done = complete.bootstrap(env={**ENVIRONMENT, "PATH": str(tmp_path)}, check=False)
    assert refusal(done) == (
        "Python 3.10 or later is needed and was not found."
        " On Debian or Ubuntu: sudo apt install python3 python3-venv"
    )


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.usefixtures("as_root")
def test_it_works_for_a_user_without_a_home(
    tool: str, new: Callable[..., Bootstrapped], public: Path
) -> None:
    """In a folder of this user's: before, it names the folder and the remedy."""
    made = new()
    site = replace(made, path=Path(shutil.copytree(made.path, public / f"site-{tool}")))
    who: dict[str, Any] = {
        "user": USER,
        "group": pwd.getpwnam(USER).pw_gid,
        "extra_groups": [],
        "env": {**site.environment(tool), "HOME": "/nonexistent"},
    }
    cannot = "cannot be written: run ./bootstrap.sh as its owner, make it yours (sudo chown -R), or"
    assert refusal(site.bootstrap(tool, check=False, **who)).startswith(f"{site.path}/ {cannot}")

    subprocess.run(["chown", "-R", USER, site.path], check=True)
    assert steps(site.bootstrap(tool, **who)) == [*NEW_VENV[tool], SITE]
    assert {path.owner() for path in site.path.rglob("*") if not path.is_symlink()} == {USER}
    site.python("manage.py", "check", **who)

    (site.path / "venv" / "bootstrap.stamp").unlink()
    shutil.chown(site.path / "venv", "root")
    assert refusal(site.bootstrap(tool, check=False, **who)).startswith(
        f"{site.path}/venv {cannot}"
    )


@pytest.mark.usefixtures("as_root")
def test_a_read_only_disk_is_said(complete: Bootstrapped) -> None:
    mounts = 'mount --bind "$1" "$1"\nmount -o remount,bind,ro "$1"'
    with namespace(complete.path, mounts, str(complete.path)) as inside:
        sentence = refusal(replace(complete, inside=inside).bootstrap(check=False))
    assert sentence.startswith(f"{complete.path}/ cannot be written: ")
    assert sentence.endswith(" or make its disk writable.")
    assert steps(complete.bootstrap()) == []


@contextmanager
def small_disk(site: Bootstrapped, megabytes: int, tmp_path: Path) -> Iterator[Bootstrapped]:
    """The site on a disk of this size."""
    shutil.copytree(site.path, tmp_path / "copy")
    mounts = 'mount -t tmpfs -o "size=$3m" none "$1"\ncp -a "$2/." "$1"'
    arguments = (str(site.path), str(tmp_path / "copy"), str(megabytes))
    with namespace(site.path, mounts, *arguments) as inside:
        yield replace(site, inside=inside)


@pytest.mark.usefixtures("as_root")
def test_a_disk_that_is_too_small_is_said_before_it_is_full(
    new: Callable[..., Bootstrapped], tmp_path: Path
) -> None:
    with small_disk(new(), 20, tmp_path) as site:
        sentence = refusal(site.bootstrap(check=False))
        assert re.fullmatch(f"The disk of {site.path} has [12]. {NO_SPACE}", sentence)
        site.run("mount", "-o", "remount,size=200m", str(site.path))
        site.bootstrap()
        site.check()


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.usefixtures("as_root")
def test_a_disk_that_gets_full_is_said(
    tool: str, new: Callable[..., Bootstrapped], tmp_path: Path
) -> None:
    with small_disk(new(), 160, tmp_path) as site:
        with site.started(tool) as run:
            run.reaches(INSTALL[tool])
            site.run("dd", "if=/dev/zero", "of=filler", "bs=1M", check=False)
            assert run.process.wait(60) == 1
            _, *said = [line.rstrip(" .") for line in run.said.splitlines()]
            assert said == [INSTALL[tool], f"The disk of {site.path} has 0 {NO_SPACE}".rstrip(".")]
        site.run("rm", "filler")
        site.bootstrap(tool)
        site.check()


@pytest.mark.parametrize("name", ["100%", 'a"b', "a[b", "a\nb", "\udce9", "d" * 90])
def test_a_folder_that_the_config_cannot_hold_is_said(
    new: Callable[..., Bootstrapped], name: str
) -> None:
    site = new()
    site.path = site.path.rename(site.path.parent / name)
    sentence = refusal(site.bootstrap(check=False))
    said = " bytes and the system takes " if name[0] == "d" else "cannot work below "
    assert said in sentence
    assert "move the project to a folder" in sentence
    assert not (site.path / "venv").exists()


def test_from_a_zip_its_scripts_run_again(complete: Bootstrapped) -> None:
    scripts = [*complete.path.glob("*.sh"), *complete.path.glob("deploy/*.sh")]
    scripts.append(complete.path / "manage.py")
    for script in scripts:
        script.chmod(0o644)
    complete.run("sh", *complete.command, env=complete.environment("uv"))
    assert all(os.access(script, os.X_OK) for script in scripts)
    assert steps(complete.bootstrap()) == []


@pytest.mark.parametrize("port", ["port", "web_port"])
def test_a_taken_port_is_said(complete: Bootstrapped, port: str) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", getattr(complete, port)))
        holder.listen()
        done = complete.bootstrap()
    assert "Everything is in place." in done.stdout
    assert done.stderr == (
        f"127.0.0.1:{getattr(complete, port)} cannot be used (Address already in use): stop the"
        " program that listens there, or change the address in deploy/supervisord.conf; for this machine"
        " alone, ./bootstrap.sh --port NUMBER does it.\n"
    )
    assert steps(complete.bootstrap()) == []


def test_addresses_come_from_the_config(complete: Bootstrapped) -> None:
    config = complete.path / "deploy" / "supervisord.conf"
    text, port, web_port = config.read_text(), free_port(), free_port()
    changed = text.replace(f"127.0.0.1:{complete.port}", f"127.0.0.1:{port} ; a comment")
    config.write_text(changed.replace(f"127.0.0.1:{complete.web_port}", f"*:{web_port}"))
    try:
        said = complete.bootstrap().stdout
    finally:
        config.write_text(text)
    assert f"http://127.0.0.1:{port}/\n" in said
    assert f"http://127.0.0.1:{web_port}/ " in said


# Once more


def test_a_second_run_changes_nothing(complete: Bootstrapped) -> None:
    def times() -> dict[Path, int]:
        files = (path for path in complete.path.rglob("*") if not path.is_dir())
        return {path: path.lstat().st_mtime_ns for path in files if path.name != "bootstrap.log"}

    assert steps(complete.bootstrap()) == []
    before = times()
    assert steps(complete.bootstrap()) == []
    assert times() == before


def test_another_name_of_the_folder_changes_nothing(complete: Bootstrapped) -> None:
    link = complete.path.with_name("link")
    link.symlink_to(complete.path)
    assert steps(complete.run(f"{link}/bootstrap.sh")) == []


def test_it_can_run_while_the_site_runs(complete: Bootstrapped) -> None:
    complete.start()
    assert steps(complete.bootstrap()) == []
    complete.stop()


def change_a_static_file(site: Bootstrapped) -> None:
    with (site.path / "pages" / "static" / "pages" / "site.css").open("a") as css:
        css.write("p { margin: 0 }\n")


def copy_a_static_file_with_its_time(site: Bootstrapped) -> None:
    """As tar and rsync -a do."""
    change_a_static_file(site)
    os.utime(site.path / "pages" / "static" / "pages" / "site.css", (0, 0))


def add_an_app(site: Bootstrapped, name: str = "news") -> Path:
    """Its static file is older than the last run, as one from elsewhere can be."""
    css = site.path / name / "static" / name / "app.css"
    css.parent.mkdir(parents=True)
    css.write_text("p { margin: 0 }\n")
    (site.path / name / "__init__.py").touch()
    for path in (css, *css.parents[:3]):
        os.utime(path, (0, 0))
    with (site.path / site.slug / "settings.py").open("a") as settings:
        settings.write(f'INSTALLED_APPS += ["{name}"]\n')
    return css


def change_a_static_file_of_another_app(site: Bootstrapped) -> None:
    css = add_an_app(site, "blog")
    site.bootstrap()
    time.sleep(1)  # Django tells apart whole seconds
    css.write_text("p { margin: 1em }\n")


def add_a_migration(site: Bootstrapped) -> None:
    (site.path / "pages" / "migrations" / "0001_first.py").write_text(
        "from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n    pass\n"
    )


def change_the_requirements(site: Bootstrapped) -> None:
    with (site.path / "requirements.txt").open("a") as lock:
        lock.write("# changed\n")


def uninstall_a_package(site: Bootstrapped) -> None:
    site.run("venv/bin/pip", "uninstall", "--yes", "sqlparse")


def remove(name: str) -> Callable[[Bootstrapped], None]:
    def remove(site: Bootstrapped) -> None:
        site.run("sh", "-c", f"rm -r {name}")

    remove.__name__ = f"remove {name}"
    return remove


@pytest.mark.parametrize(
    ("spoil", "redone"),
    [
        (change_the_requirements, [INSTALL["uv"], STATIC]),
        (uninstall_a_package, [INSTALL["uv"]]),
        (add_a_migration, [DATABASE]),
        (remove("var/db.sqlite3"), [DATABASE]),
        (change_a_static_file, [STATIC]),
        (copy_a_static_file_with_its_time, [STATIC]),
        (change_a_static_file_of_another_app, [STATIC]),
        (add_an_app, [STATIC]),
        (remove("var/static"), [STATIC]),
        (remove("var"), [SITE]),
        (remove(".env"), []),
        (remove("deploy/web_interface.conf"), []),
        (remove("deploy/local.conf"), []),
    ],
)
def test_exactly_what_is_missing_is_redone(
    complete: Bootstrapped, spoil: Callable[[Bootstrapped], None], redone: list[str]
) -> None:
    spoil(complete)
    assert steps(complete.bootstrap()) == redone
    complete.check_static_files()
    for name in (".env", "deploy/web_interface.conf", "deploy/local.conf"):
        complete.run("test", "-s", name)
    assert steps(complete.bootstrap()) == []


def test_a_new_requirement_is_added(first_run: FirstRun) -> None:
    site, tool = first_run.site, first_run.tool
    with (site.path / "requirements.txt").open("a") as lock:
        lock.write(tiny_wheel(site.wheels))
    made = (site.path / "venv" / "pyvenv.cfg").stat().st_mtime_ns
    assert steps(site.bootstrap(tool)) == [*NEW_VENV[tool][1:], STATIC]
    assert (site.path / "venv" / "pyvenv.cfg").stat().st_mtime_ns == made
    site.python("-c", "import tiny")


def test_a_moved_project_is_repaired(complete: Bootstrapped) -> None:
    complete.path = complete.path.rename(complete.path.with_name("moved"))
    assert steps(complete.bootstrap()) == [*NEW_VENV["uv"], STATIC]
    complete.check()


# Accidents


def empty_folder(site: Bootstrapped) -> None:
    site.run("rm", "-r", "venv")
    site.run("mkdir", "venv")


def venv_without_pip(site: Bootstrapped) -> None:
    site.run("rm", "-r", "venv")
    site.run("python3", "-m", "venv", "--without-pip", "venv")


def python_that_is_gone(site: Bootstrapped) -> None:
    site.run("ln", "-sf", "/nonexistent/python3", "venv/bin/python")


@pytest.mark.parametrize(
    "spoil",
    [
        empty_folder,
        venv_without_pip,
        python_that_is_gone,
        remove("venv/bin/gunicorn"),
        remove("venv/lib/*/site-packages/whitenoise"),
    ],
)
def test_a_venv_that_cannot_serve_is_made_anew(
    complete: Bootstrapped, spoil: Callable[[Bootstrapped], None]
) -> None:
    spoil(complete)
    assert steps(complete.bootstrap()) == NEW_VENV["uv"]
    complete.check()


def test_its_own_venv_may_be_active(complete: Bootstrapped) -> None:
    """What is made anew is not made with the Python that lies in it."""
    (complete.path / "venv" / "bootstrap.stamp").unlink()
    path = f"{complete.path}/venv/bin:{complete.environment('uv')['PATH']}"
    assert steps(complete.bootstrap(env={**ENVIRONMENT, "PATH": path})) == NEW_VENV["uv"]
    complete.check()


MOMENTS = {
    "uv": [
        (VENV["uv"], 0.0, signal.SIGKILL),
        (INSTALL["uv"], 0.2, signal.SIGINT),
        (INSTALL["uv"], 0.6, signal.SIGKILL),
        (PREPARE, 0.4, signal.SIGKILL),
        (PREPARE, 0.8, signal.SIGKILL),
    ],
    "pip": [
        (VENV["pip"], 0.05, signal.SIGKILL),
        (INSTALL["pip"], 0.5, signal.SIGINT),
        (INSTALL["pip"], 1.0, signal.SIGKILL),
        (PREPARE, 0.2, signal.SIGINT),
        (PREPARE, 0.6, signal.SIGINT),
    ],
}


@pytest.mark.parametrize("tool", TOOLS)
def test_the_next_run_completes_what_was_interrupted(
    tool: str, new: Callable[..., Bootstrapped]
) -> None:
    """Wherever it was killed, or ended with Ctrl-C; the next run can begin at once."""
    site = new()
    with ExitStack() as stack:
        for step, seconds, number in MOMENTS[tool]:
            run = stack.enter_context(site.started(tool))
            run.reaches(step)
            time.sleep(seconds)
            assert run.signal(number) == (130 if number == signal.SIGINT else -number)
        site.bootstrap(tool)
    site.check()


def test_an_update_that_was_interrupted_starts_anew(complete: Bootstrapped) -> None:
    """Packages may be half there: the whole venv is made anew."""
    change_the_requirements(complete)
    with complete.started("pip") as run:  # uv would have finished before the signal
        run.reaches(INSTALL["pip"])
        run.signal(signal.SIGKILL)
    assert steps(complete.bootstrap()) == [*NEW_VENV["uv"], STATIC]


def test_half_a_static_file_does_not_stay(complete: Bootstrapped) -> None:
    """What a kill cuts off in the middle of a copy is copied again."""
    source = complete.path / "pages" / "static" / "pages" / "big.zip"
    copy = complete.path / "var" / "static" / "pages" / "big.zip"
    size = 400_000_000
    with source.open("wb") as file:
        file.truncate(size)
    try:
        with complete.started() as run:
            eventually(copy.exists, 60)
            run.signal(signal.SIGKILL)
        assert copy.stat().st_size < size
        complete.bootstrap()
        assert [file.stat().st_size for file in copy.parent.glob("big*")] == [size, size]
    finally:
        source.unlink()
        complete.bootstrap()


def test_of_several_runs_exactly_one_works(complete: Bootstrapped) -> None:
    """Started together or later; what one has started ends with it, and the next one works."""
    sentence = f"Another ./bootstrap.sh is at work in {complete.path}: wait until it has ended."
    shutil.rmtree(complete.path / "venv")
    with ExitStack() as stack:
        # By pip, which takes its time: uv would be through before it is asked for.
        runs = [stack.enter_context(complete.started("pip")) for _ in range(4)]
        eventually(lambda: sum(run.process.poll() is None for run in runs) == 1)
        winner = next(run for run in runs if run.process.poll() is None)
        assert {run.said for run in runs if run is not winner} == {f"{sentence}\n"}

        winner.reaches(INSTALL["pip"])
        assert refusal(complete.bootstrap(check=False)) == sentence
        winner.process.kill()
        winner.process.wait()
        complete.bootstrap()
    complete.check()
