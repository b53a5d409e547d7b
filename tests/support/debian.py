"""A Debian that boots: a cached tree, an overlay on it, systemd-nspawn to boot it in."""

import ctypes
import fcntl
import hashlib
import os
import pwd
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, TypeVar

from .commands import Run, lack, require
from .waiting import eventually

T = TypeVar("T")

# Those of Debian 12 and 13.
PYTHONS = ("3.11", "3.13")
# What a Debian server has besides its essential packages.
PACKAGES = "adduser,ca-certificates,cron,dbus,logrotate,nginx-light,procps,python3,python3-venv,systemd-sysv"
TO_SYSVINIT = """
mount -t proc proc /proc
apt-get update
apt-get install -y --allow-remove-essential --no-install-recommends sysvinit-core systemd-sysv-
apt-get purge -y --allow-remove-essential systemd
"""
# A site's broker, of which it runs its own: one version has Redis, the other one Valkey alone.
BROKERS = {"bookworm": "redis-server", "trixie": "valkey-server"}
# With a cluster that starts at the next boot.
WITH_SERVERS = """
mount -t proc proc /proc
apt-get update
echo 'exit 101' >/usr/sbin/policy-rc.d
chmod +x /usr/sbin/policy-rc.d
apt-get install -y --no-install-recommends postgresql {broker}
update-rc.d {broker} disable
rm /usr/sbin/policy-rc.d
"""
# As an administrator gets a machine: reached by ssh, as somebody who may use sudo.
WITH_SSH = """
apt-get update
apt-get install -y --no-install-recommends openssh-server sudo
useradd --create-home --shell /bin/bash --groups sudo admin
"""
# Debian's own daily work, systemd's and cron's: at midnight it would change files under a test.
NO_DAILY_WORK = """
for timer in apt-daily apt-daily-upgrade dpkg-db-backup logrotate; do
    ln -s /dev/null "$1/root/etc/systemd/system/$timer.timer"
done
rm -f "$1"/root/etc/cron.daily/*
"""
# A command that dies with the tests, whatever ends them, and with it its children and its mounts.
MORTAL = [
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
]
# Where an administrator has code that is not installed.
CODE = "/usr/local/src"
# Seconds between two requests of a visitor: some processor is left to what they visit.
REST = 0.08
IPV6_LOOPBACK = f"{0:024}01000000"  # as /proc/net/tcp6 has it
BRIDGE, OUTSIDE = "br0", "10.77.0.1"
CLONE_NEWNET = 0x40000000  # setns(2)
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LOGIN = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8"}


def require_root() -> None:
    """Nobody else boots a machine, and only Linux does."""
    if sys.platform != "linux" or os.geteuid() != 0:
        lack("a machine is booted as root on Linux")
    for tool in ("debootstrap", "systemd-nspawn", "nsenter"):
        require(tool)


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
    return next((uri for uri in found if "security" not in uri), "http://deb.debian.org/debian")


def make(path: Path, *command: str, **options: Any) -> None:
    """Makes a folder by a command that needs the network, and takes it as its last word.

    Tries three times; then the test fails with what the command said last.
    """
    unfinished = path.with_suffix(".unfinished")
    whole = [*MORTAL, *command, str(unfinished)]
    for pause in (5, 30, 0):
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir()
        done: Run = subprocess.run(
            whole,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            **options,
        )
        if done.returncode == 0:
            unfinished.rename(path)
            return
        time.sleep(pause)
    last_words = "\n".join(done.stdout.splitlines()[-20:])
    raise AssertionError(f"{shlex.join(whole)}: {done.returncode}\n{last_words}")


def overlay(layers: list[Path]) -> str:
    """A script for a folder: root/ gets the layers, the first on top, and disk/ what is written."""
    lower = ":".join(map(str, layers))
    return f"""
mkdir "$1/disk" "$1/work" "$1/root"
options="lowerdir={lower},upperdir=$1/disk,workdir=$1/work"
mount -t overlay overlay -o "$options" "$1/root"
"""


def tree(suite: str, init: str, database: str = "sqlite", ssh: bool = False) -> list[Path]:
    """The layers of a Debian of this suite with this init system and this database, made once."""
    digest = digest_of(f"{PACKAGES}{TO_SYSVINIT}")
    with locked(f"{suite}-{digest}") as base:
        if not base.exists():
            script = f"""
debootstrap --variant=minbase --include={PACKAGES} {suite} "$1" {mirror()} ||
    {{ tail -n 20 "$1/debootstrap/debootstrap.log"; exit 1; }}
"""
            make(base, "sh", "-ec", script, "sh")
        layers = [base]
        if init == "sysvinit":
            layers = with_layer(layers, base.with_suffix(".sysvinit"), TO_SYSVINIT)
        if database == "postgresql":
            recipe = WITH_SERVERS.format(broker=BROKERS[suite])
            layer = f"{base.name}-{init}-{digest_of(recipe)}.servers"
            layers = with_layer(layers, base.with_name(layer), recipe)
        if ssh:
            layer = f"{base.name}-{init}-{database}-{digest_of(WITH_SSH)}.ssh"
            layers = with_layer(layers, base.with_name(layer), WITH_SSH)
        return layers


def digest_of(recipe: str) -> str:
    return hashlib.sha256(recipe.encode()).hexdigest()[:8]


def with_layer(below: list[Path], layer: Path, recipe: str) -> list[Path]:
    """These layers and, on top, what the recipe changes in them."""
    if not layer.exists():
        script = f'{overlay(below)} chroot "$1/root" sh -ec {shlex.quote(recipe)}'
        environment = {**LOGIN, "DEBIAN_FRONTEND": "noninteractive"}
        make(layer, "sh", "-ec", script, "sh", env=environment)
    return [layer / "disk", *below]


def wheelhouse(requirements: Path) -> Path:
    """A folder with the site's packages, for each of PYTHONS: the machines have no network.

    Also those that this very Python need not have: Debian 12 has 3.11.2.
    """
    text = re.sub(r" ; python_full_version < '\d+\.\d+\.\d+' ", " ", requirements.read_text())
    digest = digest_of(text + " ".join(PYTHONS))
    with locked(f"wheels-{digest}") as wheels, tempfile.NamedTemporaryFile("w") as every:
        if not wheels.exists():
            every.write(text)
            every.flush()
            pip = (sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes")
            options = ("--only-binary", ":all:", "-r", every.name, "-d")
            download = "".join(
                f'{shlex.join((*pip, "--python-version", python, *options))} "$1"\n'
                for python in PYTHONS
            )
            make(wheels, "sh", "-ec", download, "sh")
        return wheels


def packages(suite: str, *names: str) -> Path:
    """A folder with packages of Debian: the machines have no network."""
    if suite not in Path("/etc/os-release").read_text():
        lack(f"apt gets packages of {suite} on a machine of that suite")
    digest = digest_of(" ".join(names))
    with locked(f"{suite}-packages-{digest}") as folder:
        if not folder.exists():
            download = f'cd "$1"; apt-get download {shlex.join(names)}'
            make(folder, "sh", "-ec", download, "sh")
        return folder


@contextmanager
def in_the_end(script: str) -> Iterator[None]:
    """Runs a shell script after the block, even where kill -9 ends the tests within it.

    A process of its own runs it, once the tests no longer hold the other end of its input.
    """
    command = ("sh", "-ec", f"cat\n{script}")
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as shell:
        yield
    assert shell.returncode == 0, script


# Ends what runs in these control groups: systemd-nspawn takes TERM as an order to end its machine
# and tidies up after it; what then still runs is killed.
END = """
pids() {{ find {groups} -name cgroup.procs -exec cat {{}} + 2>/dev/null; }}
for signal in TERM KILL; do
    pids | xargs -r kill -$signal 2>/dev/null || true
    for _ in $(seq 100); do
        [ "$(pids)" ] || break
        sleep 0.1
    done
done
find {groups} -depth -type d -exec rmdir {{}} + 2>/dev/null || true
[ ! "$(find {groups} -prune 2>/dev/null)" ]
umount --lazy {folder}/root || true
rm -r --one-file-system {folder}
"""


class Machine:
    """One Debian, booted with a network of its own that reaches nobody."""

    def __init__(self, folder: Path, init: str, *options: str) -> None:
        self.root = folder / "root"
        self.log = folder / "console.log"
        self.name = f"dgs-{uuid.uuid4().hex[:8]}"
        self.init = init
        self.options = options
        # In whose network its own ends, where that is not nobody's.
        self.enter: tuple[str, ...] = ()
        self.pid = 0  # of its init system

    def boot(self) -> None:
        """Returns once its init system has started everything."""
        nspawn = ["systemd-nspawn", "--register=no", "--keep-unit", "--private-network"]
        nspawn += ["--quiet", "--kill-signal=SIGKILL", "-M", self.name, "-D", str(self.root)]
        nspawn += [*self.options, "--boot"]
        for group in self.cgroups:
            group.mkdir(exist_ok=True)
        enter = "".join(f"echo $$ >{group}/cgroup.procs; " for group in self.cgroups)
        with self.log.open("ab") as log:
            self.console = subprocess.Popen(
                ["sh", "-ec", f"{enter} exec {shlex.join([*self.enter, *nspawn])}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # an interrupted test ends it, not a Ctrl-C
            )
        try:
            # Seconds for a disk that others keep busy; with one of its own it takes 5.
            self.pid = eventually(self._find_init, 120)
            eventually(self._has_booted, 240)
        except AssertionError as error:
            raise AssertionError(self.log.read_text(errors="replace")) from error

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
        self._require_running()
        children = Path(f"/proc/{self.console.pid}/task/{self.console.pid}/children")
        for pid in map(int, children.read_text().split()):
            with suppress(OSError):
                status = Path(f"/proc/{pid}/status").read_text()
                if status.partition("NSpid:")[2].split("\n")[0].split()[1:] == ["1"]:
                    return pid
        return None

    def _require_running(self) -> None:
        """Else its pid may be that of a process of this very machine by now."""
        code = self.console.poll()
        assert code is None, f"It has ended with {code}:\n{self.log.read_text(errors='replace')}"

    def _has_booted(self) -> bool:
        if self.init == "systemd":
            state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
            return state in ("running", "degraded")
        return (
            self.run("runlevel", check=False).stdout == "N 2\n"
            and self.run("pgrep", "-f", "/etc/init.d/rc", check=False).returncode == 1
        )

    def shut_down(self) -> None:
        """As its administrator would."""
        self.run("poweroff")
        self.console.wait(90)

    def lose_power(self) -> None:
        """Everything in it ends at once."""
        self._require_running()
        os.kill(self.pid, signal.SIGKILL)
        self.console.wait(90)

    def run(self, *command: str, check: bool = True, **options: Any) -> Run:
        """Runs a command in there, as root, as in a login."""
        self._require_running()
        enter = ["nsenter", "-t", str(self.pid), "--all"]
        options = {"env": LOGIN, "capture_output": True, "text": True, **options}
        done: Run = subprocess.run([*enter, *command], check=False, **options)
        if check:
            assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
        return done

    @contextmanager
    def holding(self, lock: str) -> Iterator[None]:
        """A file is locked there, as by another command, while the block lasts."""
        hold = f"flock {lock} sleep 600 >/dev/null 2>&1 & echo $!"
        holder = self.run("sh", "-ec", hold).stdout.strip()
        try:
            yield
        finally:
            self.run("pkill", "--parent", holder)

    def enter_network(self) -> None:
        """Takes the calling thread, and no other, into its network."""
        self._require_running()
        enter_network(self.pid)

    def inside(self, function: Callable[[], T]) -> T:
        """What the function gives in the machine's network."""
        with ThreadPoolExecutor(1, initializer=self.enter_network) as thread:
            return thread.submit(function).result()

    def listeners(self) -> set[tuple[str, int]]:
        """Where programs listen by TCP: (IPv4 address, ::1, or any for the rest of IPv6, port)."""
        found = set()
        for family in ("tcp", "tcp6"):
            for line in Path(f"/proc/{self.pid}/net/{family}").read_text().splitlines()[1:]:
                _, local, _, state, *_ = line.split()
                host, port = local.split(":")
                if state == "0A":
                    octets = [str(octet) for octet in reversed(bytes.fromhex(host))]
                    ipv6 = "::1" if host == IPV6_LOOPBACK else "any"
                    found.add((".".join(octets) if family == "tcp" else ipv6, int(port, 16)))
        return found

    def files(self) -> set[str]:
        """Every path of its disk but those that come and go by themselves, as a site's mails to
        ADMINS do; and PostgreSQL's names."""
        left_out = (
            *("dev", "proc", "run", "sys", "tmp", "var/tmp"),
            *("var/lib/postgresql", "var/log/postgresql"),
            *("var/lib/systemd", "var/log/dmesg", "var/log/journal", "var/log/nginx/access.log"),
            CODE.removeprefix("/"),
        )
        found = set()
        for folder, folders, files in os.walk(self.root):
            here = Path(folder).relative_to(self.root)
            found |= {str(here / name) for name in (*folders, *files)}
            folders[:] = [name for name in folders if str(here / name) not in left_out]
        by_themselves = re.compile(r"-shm$|-wal$|/var/mails($|/)|/var/alerts\.(json|new)$")
        return self.databases_and_roles() | {
            path
            for path in found
            if not path.startswith(left_out) and not by_themselves.search(path)
        }

    @property
    def database(self) -> str:
        """The kind that a site finds here."""
        return "postgresql" if (self.root / "usr/bin/psql").exists() else "sqlite"

    def databases_and_roles(self) -> set[str]:
        if self.database == "sqlite":
            return set()
        names = "SELECT 'database ' || datname FROM pg_database UNION "
        return {*self.sql(f"{names} SELECT 'role ' || rolname FROM pg_roles").splitlines()}

    def sql(self, statements: str, database: str = "postgres", port: int = 5432) -> str:
        """What PostgreSQL's administrator gets; each statement is a transaction of its own."""
        psql = ("psql", "-AtqX", "-vON_ERROR_STOP=1", f"--dbname={database}", f"--port={port}")
        done = self.run("runuser", "--user=postgres", "--", *psql, input=statements)
        return done.stdout.strip()


@contextmanager
def booted(
    layers: list[Path], init: str, *options: str, network: "Network | None" = None
) -> Iterator[Machine]:
    """A machine of these layers, with options of systemd-nspawn; it leaves nothing behind."""
    folder = Path(tempfile.mkdtemp(prefix="dgs"))
    machine = Machine(folder, init, *options)
    if network:
        machine.enter = network.command()
        machine.options += (f"--network-bridge={BRIDGE}",)
    groups = " ".join(map(str, machine.cgroups))
    with in_the_end(END.format(groups=groups, folder=folder)):
        script = f"{overlay(layers)}{NO_DAILY_WORK}"
        subprocess.run(["sh", "-ec", script, "sh", folder], check=True)
        machine.boot()
        yield machine
    machine.console.wait()


def enter_network(pid: int) -> None:
    """Takes the calling thread into the network of this process."""
    with Path(f"/proc/{pid}/ns/net").open() as network:
        assert ctypes.CDLL(None).setns(network.fileno(), CLONE_NEWNET) == 0


@dataclass
class Network:
    """One that several machines have in common, and nobody else; OUTSIDE is its address for visitors."""

    pid: int

    def command(self) -> tuple[str, ...]:
        """What runs a command in it."""
        return "nsenter", f"--net=/proc/{self.pid}/ns/net"

    def enter_network(self) -> None:
        enter_network(self.pid)

    def inside(self, function: Callable[[], T]) -> T:
        """What the function gives in it."""
        with ThreadPoolExecutor(1, initializer=self.enter_network) as thread:
            return thread.submit(function).result()


@contextmanager
def bridged() -> Iterator[Network]:
    """A network that is gone with the last process in it."""
    script = f"""
ip link set lo up
ip link add {BRIDGE} type bridge
ip address add {OUTSIDE}/24 dev {BRIDGE}
ip link set {BRIDGE} up
echo made
exec cat
"""
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-ec", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout and holder.stdout.readline() == b"made\n"
        yield Network(holder.pid)


class Load:
    """Visitors who ask for a page again and again, each time by a new connection."""

    def __init__(
        self,
        machine: "Machine | Network",
        ask: Callable[[], str],
        visitors: int = 4,
        rest: float = REST,
    ) -> None:
        self.answers: list[str] = []
        self.failures: list[str] = []
        self.longest = 0.0
        self._over = threading.Event()
        self._machine = machine
        self._ask = ask
        self._rest = rest
        self._threads = [threading.Thread(target=self._visit) for _ in range(visitors)]

    def _visit(self) -> None:
        self._machine.enter_network()
        while not self._over.wait(self._rest):
            begin = time.monotonic()
            try:
                self.answers.append(self._ask())
            except (OSError, AssertionError, HTTPException) as error:
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
def load(
    machine: "Machine | Network", ask: Callable[[], str], number: int = 4, rest: float = REST
) -> Iterator[Load]:
    """Visitors, while the block lasts."""
    visitors = Load(machine, ask, number, rest)
    visitors.start()
    try:
        yield visitors
    finally:
        visitors.stop()
