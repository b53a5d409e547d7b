"""deploy/server reads the addresses of deploy/supervisord.conf as supervisor itself does."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.commands import ENVIRONMENT
from support.project import Project

READ = """
import json, sys
sys.path.insert(0, "deploy")
from pathlib import Path
from server.supervisord_conf import SupervisordConf
conf = SupervisordConf(Path.cwd())
print(json.dumps([conf.site, conf.web_interface]))
"""
WITH_PORTS = 'print(json.dumps("\\n".join(conf.with_ports(8010, 8011))))'
# supervisor's own code, in a Python of its own: its plugins change the process that loads them.
ASK_SUPERVISOR = """
import json, sys
sys.path.insert(0, "deploy")
from supervisor.options import ServerOptions
options = ServerOptions()
options.realize(["-c", sys.argv[1], "-n"])
(group,) = (each for each in options.process_group_configs if each.name != "alerts")
web = [[each["host"], each["port"]] for each in options.server_configs if "port" in each]
print(json.dumps([group.socket_config.addr(), web[0] if web else None]))
"""
SOCKET = "socket = tcp://127.0.0.1:8000\n"
PORT = "port = 127.0.0.1:9001\n"
ALL = "0.0.0.0"


@pytest.fixture(scope="module")
def baked(bake: Callable[..., Project]) -> Project:
    project = bake(project_slug="shop")
    password = project.path / "deploy" / "web_interface.conf"
    password.write_text("[inet_http_server]\npassword = x\n")
    return project


@pytest.fixture
def project(baked: Project) -> Project:
    """With the config as it was delivered; a test may change it."""
    config = baked.path / "deploy" / "supervisord.conf"
    kept = baked.path.parent / "supervisord.conf"
    if not kept.exists():
        kept.write_text(config.read_text())
    config.write_text(kept.read_text())
    return baked


def change(project: Project, old: str, new: str) -> Path:
    config = project.path / "deploy" / "supervisord.conf"
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))
    return config


def printed(project: Project, script: str, *arguments: str) -> Any:
    """What a script prints, as JSON."""
    environment = {**ENVIRONMENT, "ADDRESS": "10.0.0.1"}
    command = [sys.executable, "-B", "-c", script, *arguments]
    return json.loads(subprocess.check_output(command, cwd=project.path, env=environment))


def as_supervisor_reads(project: Project) -> list[Any]:
    """Its two addresses, with the names that our reader has for all of a machine's and for itself."""
    site, web = printed(project, ASK_SUPERVISOR, str(project.path / "deploy" / "supervisord.conf"))
    names = {"": ALL, "localhost": "127.0.0.1"}
    return [
        [names.get(address[0], address[0]), address[1]] if isinstance(address, list) else address
        for address in (site, web)
    ]


@pytest.mark.parametrize(
    ("written", "address"),
    [
        (SOCKET, ["127.0.0.1", 8000]),
        ("socket=tcp://127.0.0.1:8100\n", ["127.0.0.1", 8100]),
        ("socket: tcp://127.0.0.1:8100\n", ["127.0.0.1", 8100]),
        ("SOCKET=tcp://127.0.0.1:8100   ; ours\n", ["127.0.0.1", 8100]),
        ("socket=tcp://localhost:8100 # ours\n", ["127.0.0.1", 8100]),
        ("socket = tcp://127.0.0.1:1\nsocket = tcp://127.0.0.1:8100\n", ["127.0.0.1", 8100]),
        ("socket = tcp://%(ENV_ADDRESS)s:8100\n", ["10.0.0.1", 8100]),
        ("socket = unix://%(here)s/../var/%(program_name)s.sock\n", "{var}/gu-shop.sock"),
    ],
)
def test_the_address_of_the_site(project: Project, written: str, address: Any) -> None:
    change(project, SOCKET, written)
    if isinstance(address, str):
        address = address.format(var=project.path / "var")
    read = printed(project, READ)
    assert read[0] == address
    assert read == as_supervisor_reads(project)


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("port=127.0.0.1:9100\n", ["127.0.0.1", 9100]),
        ("port = LOCALHOST:9100 ; ours\n", ["127.0.0.1", 9100]),
        ("port = 9100\n", [ALL, 9100]),
        ("port = :9100\n", [ALL, 9100]),
        ("port = *:9100\n", [ALL, 9100]),
        ("port = %(ENV_ADDRESS)s:9100\n", ["10.0.0.1", 9100]),
    ],
)
def test_the_address_of_the_web_interface(
    project: Project, written: str, address: list[Any]
) -> None:
    change(project, PORT, written)
    read = printed(project, READ)
    assert read[1] == address
    assert read == as_supervisor_reads(project)


def test_an_included_file_counts(project: Project) -> None:
    extra = project.path / "deploy" / "extra.conf"
    extra.write_text("[inet_http_server]\nport = 127.0.0.1:9100\n")
    change(project, "files = ../deploy/web_interface.conf", "files = web_*.conf extra.conf none.*")
    try:
        read = printed(project, READ)
        assert read == as_supervisor_reads(project)
        assert read[1] == ["127.0.0.1", 9100]
    finally:
        extra.unlink()


def test_local_conf_counts_on_this_machine_alone(project: Project) -> None:
    """With the ports that --port gives; not where a release or install.sh reads the config."""
    local = project.path / "deploy" / "local.conf"
    written = READ.replace("print(json.dumps([conf.site, conf.web_interface]))", WITH_PORTS)
    local.write_text(printed(project, written))
    try:
        assert printed(project, READ) == [["127.0.0.1", 8000], ["127.0.0.1", 9001]]
        read = printed(project, READ.replace("cwd()", "cwd(), local=True"))
        assert read == as_supervisor_reads(project) == [["127.0.0.1", 8010], ["127.0.0.1", 8011]]
    finally:
        local.unlink()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("[fcgi-program:gu-shop]", "[fcgi-program:shop]", "{config} has no [fcgi-program:gu-shop]. deploy/server/facts.py and deploy/supervisord.conf must name the same group."),
        (SOCKET, "socket = 8000\n", "{config} cannot be used: socket = 8000 in [fcgi-program:gu-shop]. Write an address and a port, as 127.0.0.1:8000."),
        (SOCKET, "socket = tcp://%(nothing)s:1\n", "{config} cannot be used: socket = tcp://%(nothing)s:1 in [fcgi-program:gu-shop]. Write an address and a port, as 127.0.0.1:8000."),
        (PORT, "port = nine\n", "{config} cannot be used: port = nine in [inet_http_server]. Write an address and a port, as 127.0.0.1:8000."),
        (SOCKET, "socket\n", "{config} cannot be read: Source contains parsing errors: "),
    ],
    ids=["renamed", "no scheme", "unknown name", "no port", "no INI"],
)  # fmt: skip
def test_what_cannot_be_used_is_said_before_anything_is_done(
    project: Project, old: str, new: str, sentence: str
) -> None:
    """By each command; nobody sees a KeyError after the migration."""
    config = change(project, old, new)
    for command in ("./bootstrap.sh", "deploy/release.sh --into ../server"):
        done = project.run(*command.split(), check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.splitlines()[0].startswith(sentence.format(config=config))
        assert "Traceback" not in done.stderr
    assert not (project.path / "venv").exists()
    assert not (project.path / ".env").exists()


def test_the_port_check_sees_every_spelling(project: Project) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        change(project, SOCKET, f"socket=tcp://127.0.0.1:{port}\n")
        done = project.run("./bootstrap.sh")
    assert done.stderr.startswith(f"127.0.0.1:{port} cannot be used (Address already in use)")
