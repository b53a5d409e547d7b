"""What holds from the laptop to a Debian server that it reaches by ssh, as the chapter on it says."""

import http.client
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.commands import WITH_UV, Run, require
from support.debian import CODE, Machine, booted, load, require_root, tree, wheelhouse
from support.fleet import write_ssh_config
from support.git import commit_all, git
from support.project import Project, copy_venv
from support.updates import (
    CONTESTED,
    NEXT,
    answered,
    begin_next,
    clone_of_the_template,
    commands,
    keep_both,
    make,
    type_lines,
)
from support.waiting import eventually

DOMAIN = "chess.example.org"
CHESS = {"project_slug": "chess", "domain_name": DOMAIN, "install_dir": "/srv/chess"}
OFFLINE = ("--offline", "--wheelhouse", "/wheels")
SUDOER = "/etc/sudoers.d/admin"

pytestmark = [pytest.mark.booted, pytest.mark.slow]


@dataclass
class Laptop:
    """A project in git, and a server that ssh reaches; they have one network, and it has nobody else."""

    project: Project
    machine: Machine

    @property
    def home(self) -> Path:
        return self.project.path.parent

    @property
    def inventory(self) -> Path:
        return self.project.path / "deploy" / "inventory.ini"

    def servers(self, *words: str, check: bool = True, **options: str) -> Run:
        network = f"--net=/proc/{self.machine.pid}/ns/net"
        command = ("nsenter", network, "deploy/servers.sh", *words)
        environment = {**WITH_UV, "HOME": str(self.home)}
        return self.project.run(*command, check=check, env=environment, **options)

    def refusal(self, *words: str) -> str:
        """What it says, in the end, of a command that fails."""
        done = self.servers(*words, check=False)
        assert done.returncode != 0, done
        assert "Traceback" not in done.stderr, done
        assert not self.sent(), done
        return done.stderr

    def sent(self) -> list[Path]:
        """Code that is still there."""
        return [*(self.machine.root / CODE[1:]).iterdir()]

    def commit(self) -> str:
        commit_all(self.project.path)
        return git(self.project.path, "log", "-1", "--format=%h").strip()

    def serves(self) -> str:
        """The release that a visitor gets, through nginx; in the calling thread's network."""
        connection = http.client.HTTPConnection(DOMAIN)
        connection.sock = socket.create_connection(("127.0.0.1", 80), 30)
        try:
            connection.request("GET", "/healthz")
            response = connection.getresponse()
            said = response.read().decode()
            assert response.status == 200, said
            return said.split()[1]
        finally:
            connection.close()


@pytest.fixture(scope="module")
def history(short_folder: Path) -> Path:
    return clone_of_the_template(short_folder)


@pytest.fixture(scope="module")
def laptop(history: Path, short_folder: Path) -> Iterator[Laptop]:
    require_root()
    for tool in ("ssh", "ssh-keygen", "ssh-keyscan"):
        require(tool)
    project = Project(make(history, "HEAD", short_folder / "laptop", **CHESS))
    shutil.rmtree(project.path / ".git")
    options = f"--bind-ro={wheelhouse(project.path / 'requirements.txt')}:/wheels"
    with booted(tree("trixie", "systemd", ssh=True), "systemd", options) as machine:
        laptop = Laptop(project, machine)
        # sudo looks its own machine up, and would wait for a server of names.
        machine.run("sh", "-c", 'echo "127.0.1.1 $(hostname)" >>/etc/hosts')
        write_ssh_config(laptop.home)
        common = f"ansible_ssh_common_args='-F {laptop.home}/config'"
        line = f"{DOMAIN} ansible_host=127.0.0.1 ansible_user=admin {common}"
        laptop.inventory.write_text(f"[web]\n{line}\n")
        # Ansible comes from the package index, which the machine's network does not reach.
        done = project.run(
            "deploy/servers.sh", "--limit", "nobody", "status", env=WITH_UV, check=False
        )
        assert done.stderr.endswith("has no server of this name: nobody.\n"), done
        yield laptop


def test_each_obstacle_has_its_sentence(laptop: Laptop) -> None:
    machine = laptop.machine

    @contextmanager
    def inside(before: str, after: str) -> Iterator[None]:
        machine.run("sh", "-ec", before)
        try:
            yield
        finally:
            machine.run("sh", "-ec", after)

    assert "has no commit yet, and a commit is what is sent" in laptop.refusal("release")
    assert laptop.refusal("deploy").startswith("deploy/servers.sh needs one of these words")
    git(laptop.project.path, "init", "--quiet", "--initial-branch", "main")
    laptop.commit()

    assert f"{DOMAIN}: its host key is unknown here" in laptop.refusal("install")
    key = machine.run("ssh-keyscan", "-t", "ed25519", "127.0.0.1").stdout
    (laptop.home / "known_hosts").write_text(key)
    assert "ssh lets nobody in with your keys" in laptop.refusal("install")
    folder = machine.root / "home/admin/.ssh"
    folder.mkdir()
    (folder / "authorized_keys").write_text((laptop.home / "key.pub").read_text())
    assert "sudo wants the right password there" in laptop.refusal("install")
    machine.run("chpasswd", input="admin:secret\n")
    asking = ("--ask-become-pass", "install", "--help")
    assert (
        "sudo wants the right password" in laptop.servers(*asking, check=False, input="x\n").stderr
    )
    assert "--dry-run" in laptop.servers(*asking, input="secret\n").stdout
    machine.run("sh", "-ec", f"echo 'admin ALL=(ALL) NOPASSWD:ALL' >{SUDOER}")

    assert "there is no site yet: deploy/servers.sh install" in laptop.refusal("status")
    with inside("mv /usr/bin/python3 /tmp", "mv /tmp/python3 /usr/bin"):
        assert "Python 3.10 or later is missing there" in laptop.refusal("install")
    full = f"mkdir -p {CODE}; mount -t tmpfs -o size=64k tmpfs {CODE}"
    with inside(full, f"umount {CODE}"):
        assert "its disk is full" in laptop.refusal("install")

    line = laptop.inventory.read_text()
    laptop.inventory.write_text(line.replace(DOMAIN, f"{DOMAIN} ansible_port=2222"))
    assert "ssh does not answer there" in laptop.refusal("install")
    laptop.inventory.write_text(f"{line}second.example.org\n")
    said = laptop.refusal("release")
    assert said.startswith("release is for one server, for each has its own data")
    laptop.inventory.write_text(line)


def test_it_is_installed_from_the_laptop(laptop: Laptop) -> None:
    (laptop.project.path / "dump.txt").write_text("not committed\n")
    done = laptop.servers("install", *OFFLINE)
    assert "Left out, as it is not committed (1 in all): dump.txt\n" in done.stdout
    assert f"The site answers at http://{DOMAIN}/" in done.stdout
    assert done.stdout.endswith(f"\n{DOMAIN}: done\n")
    assert laptop.sent() == []
    eventually(lambda: laptop.machine.inside(laptop.serves))
    assert not (laptop.machine.root / "srv/chess/current/dump.txt").exists()


def test_a_newer_template_is_taken_up(laptop: Laptop, history: Path, made_venv: Path) -> None:
    """Each block of its chapter in the order there; the next test types the last one."""
    site = laptop.project.path
    (site / "dump.txt").unlink()
    copy_venv(made_venv, site / "venv")
    _, link, *commit = commands(site, "pipx install cruft\n")
    type_lines(site, [answered(link, CHESS), *commit], history)
    with (site / CONTESTED).open("a") as style:
        style.write("/* another */\n")
    laptop.commit()
    begin_next(history)

    type_lines(site, commands(site, "cruft update"), history)
    conflicts = commands(site, "git grep ")
    assert CONTESTED in type_lines(site, conflicts, history, check=False)
    keep_both(site)
    assert type_lines(site, conflicts, history, check=False) == ""
    type_lines(site, commands(site, "cruft diff\n"), history)


def test_a_release_and_its_rollback_lose_no_request(laptop: Laptop) -> None:
    first = laptop.machine.inside(laptop.serves)
    commit = git(laptop.project.path, "log", "-1", "--format=%h").strip()
    (release,) = commands(laptop.project.path, "deploy/servers.sh release\n")
    with load(laptop.machine, laptop.serves) as visitors:
        laptop.servers(*release.split()[1:], *OFFLINE)
        second = laptop.machine.inside(laptop.serves)
        status = laptop.servers("status").stdout
        laptop.servers("rollback")
    assert visitors.failures == []
    assert set(visitors.answers) == {first, second}
    assert f"  {commit}  serves\n" in status
    assert f"django-gunicorn-supervisor {NEXT}\n" in status
    assert "gu-chess:master-1" in status
    assert laptop.machine.inside(laptop.serves) == first


def test_what_stops_a_release_is_said(laptop: Laptop) -> None:
    first = laptop.machine.inside(laptop.serves)
    with laptop.machine.holding("/srv/chess/release.lock"):
        said = laptop.refusal("release", *OFFLINE)
    assert "Another release or a restore is under way in /srv/chess" in said

    views = laptop.project.path / "pages/views.py"
    views.write_text(f"import nothing_of_this_name\n{views.read_text()}")
    laptop.commit()
    done = laptop.servers("release", *OFFLINE, check=False)
    assert done.returncode != 0
    assert "No module named 'nothing_of_this_name'" in done.stderr
    assert f"{first} serves as before." in done.stderr
    assert done.stdout.endswith(f"\n{DOMAIN}: failed\n")
    assert laptop.machine.inside(laptop.serves) == first
    git(laptop.project.path, "reset", "--quiet", "--hard", "HEAD~1")


def test_the_other_commands_of_a_server(laptop: Laptop) -> None:
    assert "The copy is /srv/chess/var/backups/" in laptop.servers("backup").stdout
    [copy] = (laptop.machine.root / "srv/chess/var/backups").iterdir()
    add = "from accounts.models import User; User.objects.create_user('later')"
    laptop.servers("manage", "shell", "--no-imports", "-c", add)
    count = "from accounts.models import User; print(User.objects.count(), 'users')"
    shown = laptop.servers("manage", "shell", "--no-imports", "-c", count).stdout
    assert shown == f"1 users\n{DOMAIN}: done\n"
    laptop.servers("restore", copy.name, "--yes")
    shown = laptop.servers("manage", "shell", "--no-imports", "-c", count).stdout
    assert shown.startswith("0 users\n")
    logs = laptop.servers("logs", "-n", "5").stdout
    assert "/srv/chess/var/log/supervisord.log" in logs
    assert laptop.servers("run", "id -un | tr a-z A-Z").stdout == f"ADMIN\n{DOMAIN}: done\n"
    assert laptop.servers("run", "exit 7", check=False).returncode == 7
