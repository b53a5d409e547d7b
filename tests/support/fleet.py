"""Several machines in one network, that ssh reaches from a laptop in it."""

import http.client
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from .commands import WITH_UV, Run
from .debian import Machine, Network, booted, bridged, tree, wheelhouse
from .git import commit_all, git
from .project import Project
from .waiting import eventually

ADDRESS = """
[Match]
Name=host0
[Network]
Address={address}/24
LinkLocalAddressing=no
"""
# What an administrator does once: a user for ssh, who may use sudo without a password.
WELCOME = """
echo "127.0.1.1 $(hostname)" >>/etc/hosts
mkdir -p /home/admin/.ssh
cat >/home/admin/.ssh/authorized_keys
echo 'admin ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/admin
[ -e /usr/bin/redis-server ] || ln -s valkey-server /usr/bin/redis-server
systemctl enable --quiet --now systemd-networkd
"""


@dataclass
class Fleet:
    """A project in git, and machines by their names in its inventory; the first one has the visitors."""

    project: Project
    network: Network
    machines: dict[str, Machine]
    addresses: dict[str, str]
    domain: str

    @property
    def home(self) -> Path:
        return self.project.path.parent

    def servers(self, *words: str, check: bool = True) -> Run:
        command = (*self.network.command(), "deploy/servers.sh", *words)
        return self.project.run(*command, check=check, env={**WITH_UV, "HOME": str(self.home)})

    def write_inventory(self, groups: Mapping[str, str], private: bool = True) -> None:
        """Each group with the names in it."""
        common = f"ansible_user=admin ansible_ssh_common_args='-F {self.home}/config'"
        lines = [
            f"{name} ansible_host={address} {f'private={address} ' * private}{common}"
            for name, address in self.addresses.items()
        ]
        for group, names in groups.items():
            lines += ["", f"[{group}]", *names.split()]
        (self.project.path / "deploy/inventory.ini").write_text("\n".join([*lines, ""]))

    def commit(self) -> str:
        commit_all(self.project.path)
        return git(self.project.path, "log", "-1", "--format=%h").strip()

    def response(self, path: str, **headers: str) -> tuple[int, str]:
        """What a visitor gets from the front, and its status; in the calling thread's network."""
        front = next(iter(self.addresses.values()))
        connection = http.client.HTTPConnection(self.domain)
        connection.sock = socket.create_connection((front, 80), 30)
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def request(self) -> str:
        """The home page; in the calling thread's network."""
        status, said = self.response("/")
        assert status == 200, said
        return said

    def get(self) -> str:
        return self.network.inside(self.request)

    def answers(self) -> bool:
        try:
            return self.get() != ""
        except (OSError, AssertionError):
            return False

    def commits(self, *names: str) -> list[str]:
        """What serves on each."""
        path = f"srv/{self.project.path.name}/current/.commit"
        return [(self.machines[name].root / path).read_text().strip() for name in names]


@contextmanager
def fleet(project: Project, domain: str, shared: Path, **suites: str) -> Iterator[Fleet]:
    """Machines: name → version of Debian. `shared` is one folder of all of them."""
    # Ansible comes from the package index, which the machines' network does not reach.
    project.run("deploy/servers.sh", "--limit", "nobody", "status", env=WITH_UV, check=False)
    wheels = wheelhouse(project.path / "requirements.txt")
    options = (f"--bind-ro={wheels}:/wheels", f"--bind={shared}:/shared")
    with bridged() as network, ExitStack() as stack:
        machines = {
            name: stack.enter_context(
                booted(
                    tree(suite, "systemd", "postgresql", ssh=True),
                    "systemd",
                    *options,
                    network=network,
                )
            )
            for name, suite in suites.items()
        }
        addresses = {name: f"10.77.0.{10 + number}" for number, name in enumerate(machines)}
        made = Fleet(project, network, machines, addresses, domain)
        welcome(made)
        yield made


def welcome(made: Fleet) -> None:
    """The machines get their addresses, and ssh is let in; it knows their keys."""
    key = write_ssh_config(made.home)
    for name, machine in made.machines.items():
        network = ADDRESS.format(address=made.addresses[name])
        (machine.root / "etc/systemd/network/10-host0.network").write_text(network)
        machine.run("sh", "-ec", WELCOME, input=key.with_suffix(".pub").read_text())
    scan = [*made.network.command(), "ssh-keyscan", "-t", "ed25519", *made.addresses.values()]

    def keys() -> str:
        said = subprocess.run(scan, stdout=subprocess.PIPE, text=True, check=False).stdout
        return said if said.count("ssh-ed25519") == len(made.machines) else ""

    (made.home / "known_hosts").write_text(eventually(keys, 60))


def write_ssh_config(home: Path) -> Path:
    """ssh looks for its files where the machine's list of users says, not in HOME. Returns the key."""
    key = home / "key"
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", key], check=True)
    config = f"IdentityFile {key}\nIdentitiesOnly yes\nUserKnownHostsFile {home}/known_hosts\n"
    (home / "config").write_text(f"{config}GlobalKnownHostsFile none\n")
    return key
