"""A Debian that boots: a cached tree, an overlay on it, systemd-nspawn to boot it in."""

import ctypes
import fcntl
import hashlib
import os
import pwd
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from conftest import Run, eventually, require

T = TypeVar("T")

# What a Debian server has besides its essential packages.
PACKAGES = "adduser,ca-certificates,cron,dbus,nginx-light,procps,python3,python3-venv,systemd-sysv"
TO_SYSVINIT = """
mount -t proc proc /proc
apt-get update -qq
apt-get install -qq --allow-remove-essential --no-install-recommends sysvinit-core systemd-sysv-
apt-get purge -qq --allow-remove-essential systemd
umount /proc
"""
# Where an administrator has code that is not installed.
CODE = "/usr/local/src"
CLONE_NEWNET = 0x40000000  # setns(2)
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LOGIN = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8"}


def cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path(pwd.getpwuid(os.getuid()).pw_dir, ".cache")
    folder = Path(home) / "django-gunicorn-supervisor"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(name: str) -> Iterator[Path]:
    """A path in the cache that only this process makes now; others wait until it is there."""
    with (cache() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield cache() / name


def mirror() -> str:
    """The Debian mirror that this machine's apt uses."""
    wanted = "--format=$(REPO_URI)", "Created-By: Packages", "Origin: Debian", "Component: main"
    found = subprocess.check_output(["apt-get", "indextargets", *wanted], text=True).split()
    return next(uri for uri in found if "security" not in uri)


@contextmanager
def overlay(layers: list[Path], upper: Path) -> Iterator[Path]:
    """The layers, the first on top, with what is written in `upper`."""
    work, merged = upper.with_name(f"{upper.name}.work"), upper.with_name(f"{upper.name}.root")
    for folder in (upper, work, merged):
        folder.mkdir(exist_ok=True)
    lower = ":".join(map(str, layers))
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, merged], check=True)
    try:
        yield merged
    finally:
        subprocess.run(["umount", "--lazy", merged], check=True)
        shutil.rmtree(work)
        merged.rmdir()


def tree(suite: str, init: str) -> list[Path]:
    """The layers of a Debian of this suite with this init system, made once."""
    recipe = f"{PACKAGES}{TO_SYSVINIT}"
    digest = hashlib.sha256(recipe.encode()).hexdigest()[:8]
    with locked(f"{suite}-{digest}") as base:
        if not base.exists():
            unfinished = base.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            options = ("--variant=minbase", f"--include={PACKAGES}")
            command = (require("debootstrap"), *options, suite, str(unfinished), mirror())
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            unfinished.rename(base)
        if init == "systemd":
            return [base]
        layer = base.with_suffix(".sysvinit")
        if not layer.exists():
            unfinished = base.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            with overlay([base], unfinished) as root:
                enter = ("chroot", str(root), "sh", "-ec", TO_SYSVINIT)
                environment = {**LOGIN, "DEBIAN_FRONTEND": "noninteractive"}
                subprocess.run(enter, check=True, stdout=subprocess.DEVNULL, env=environment)
            unfinished.rename(layer)
        return [layer, base]


def wheelhouse(requirements: Path) -> Path:
    """A folder with the site's packages: the machines have no network."""
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:8]
    with locked(f"wheels-{digest}") as wheels:
        if not wheels.exists():
            unfinished = wheels.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            only = ["--only-binary", ":all:", "--require-hashes"]
            files = ["-r", str(requirements), "-d", str(unfinished)]
            subprocess.run([*pip, *only, *files], check=True)
            unfinished.rename(wheels)
        return wheels


class Machine:
    """One Debian, booted with a network of its own that reaches nobody."""

    def __init__(self, root: Path, init: str, *options: str) -> None:
        self.root = root
        self.log = root.parent / "console.log"
        self.name = f"dgs-{uuid.uuid4().hex[:8]}"
        self.init = init
        self.options = options
        self.pid = 0

    def boot(self) -> None:
        """Returns once its init system has started everything."""
        nspawn = [require("systemd-nspawn"), "--register=no", "--keep-unit", "--private-network"]
        nspawn += ["--quiet", "-M", self.name, "-D", str(self.root), *self.options, "--boot"]
        for group in self.cgroups:
            group.mkdir(exist_ok=True)
        enter = "".join(f"echo $$ >{group}/cgroup.procs; " for group in self.cgroups)
        # systemd-nspawn wants a terminal.
        script = f"exec {require('script')} -qfc {shlex.quote(' '.join(nspawn))} /dev/null"
        self.console = subprocess.Popen(
            ["sh", "-ec", enter + script],
            stdin=subprocess.DEVNULL,
            stdout=self.log.open("ab"),
            stderr=subprocess.STDOUT,
        )
        self.pid = eventually(self._find_init, 30)
        eventually(self._has_booted, 60)

    @property
    def cgroups(self) -> list[Path]:
        """Control groups of its own: two machines in one would take each other's processes."""
        mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
        return [
            Path(folder, self.name)
            for _, folder, kind, options, *_ in mounts
            if kind.startswith("cgroup") and "cpuset" not in options  # systemd leaves that alone
        ]

    def _find_init(self) -> int | None:
        """The process that is number 1 in there."""
        assert self.console.poll() is None, self.log.read_text(errors="replace")
        nspawn = children(self.console.pid)
        for pid in (pid for each in nspawn for pid in children(each)):
            with suppress(OSError):
                status = Path(f"/proc/{pid}/status").read_text()
                if status.partition("NSpid:")[2].split("\n")[0].split()[1:] == ["1"]:
                    return pid
        return None

    def _has_booted(self) -> bool:
        with suppress(AssertionError, OSError):
            if self.init == "systemd":
                state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
                return state in ("running", "degraded")
            return (
                self.run("runlevel", check=False).stdout == "N 2\n"
                and self.run("pgrep", "-f", "/etc/init.d/rc", check=False).returncode == 1
            )
        return False

    def shut_down(self) -> None:
        """As its administrator would."""
        self.run("poweroff")
        self.console.wait(90)
        self.pid = 0

    def end(self) -> None:
        """However the test left it."""
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.console.wait(30)
        for group in self.cgroups:
            for folder, *_ in os.walk(group, topdown=False):
                eventually(partial(removed, folder))
        shutil.rmtree(f"/run/systemd/nspawn/propagate/{self.name}", ignore_errors=True)

    def run(self, *command: str, check: bool = True, **options: Any) -> Run:
        """Runs a command in there, as root, as in a login."""
        enter = ["nsenter", "-t", str(self.pid), "--all"]
        options = {"env": LOGIN, "capture_output": True, "text": True, **options}
        done: Run = subprocess.run([*enter, *command], check=False, **options)
        if check:
            assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
        return done

    def enter_network(self) -> None:
        """Takes the calling thread, and no other, into its network."""
        with Path(f"/proc/{self.pid}/ns/net").open() as network:
            assert ctypes.CDLL(None).setns(network.fileno(), CLONE_NEWNET) == 0

    def inside(self, function: Callable[[], T]) -> T:
        """What the function gives in the machine's network."""
        with ThreadPoolExecutor(1, initializer=self.enter_network) as thread:
            return thread.submit(function).result()

    def listeners(self) -> set[tuple[str, int]]:
        """Where programs listen by TCP: (IPv4 address, or any for IPv6, port)."""
        found = set()
        for family in ("tcp", "tcp6"):
            for line in Path(f"/proc/{self.pid}/net/{family}").read_text().splitlines()[1:]:
                _, local, _, state, *_ = line.split()
                host, port = local.split(":")
                if state == "0A":
                    octets = [str(octet) for octet in reversed(bytes.fromhex(host))]
                    found.add((".".join(octets) if family == "tcp" else "any", int(port, 16)))
        return found

    def files(self) -> set[str]:
        """Every path of its disk but those that come and go by themselves."""
        left_out = (
            *("dev", "proc", "run", "sys", "tmp", "var/tmp"),
            *("var/lib/systemd", "var/log/dmesg", "var/log/journal"),
            CODE.removeprefix("/"),
        )
        found = set()
        for folder, folders, files in os.walk(self.root):
            here = Path(folder).relative_to(self.root)
            found |= {str(here / name) for name in (*folders, *files)}
            folders[:] = [name for name in folders if str(here / name) not in left_out]
        return {path for path in found if not path.startswith(left_out)}


def removed(group: str) -> bool:
    """Whether this control group is gone; the last of its processes may need a moment."""
    with suppress(OSError):
        Path(group).rmdir()
    return not Path(group).exists()


def children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


class Load:
    """Visitors who ask for a page again and again, each time by a new connection."""

    def __init__(self, machine: Machine, ask: Callable[[], str], visitors: int = 4) -> None:
        self.answers: list[str] = []
        self.failures: list[str] = []
        self.longest = 0.0
        self._over = threading.Event()
        self._machine = machine
        self._ask = ask
        self._threads = [threading.Thread(target=self._visit) for _ in range(visitors)]

    def _visit(self) -> None:
        self._machine.enter_network()
        while not self._over.is_set():
            begin = time.monotonic()
            try:
                self.answers.append(self._ask())
            except (OSError, AssertionError) as error:
                self.failures.append(repr(error))
            self.longest = max(self.longest, time.monotonic() - begin)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


@contextmanager
def load(machine: Machine, ask: Callable[[], str]) -> Iterator[Load]:
    """Visitors, while the block lasts."""
    visitors = Load(machine, ask)
    visitors.start()
    try:
        yield visitors
    finally:
        visitors.stop()
