"""script/demo, as a newcomer runs it: with an empty home folder."""

import http.client
import re
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.commands import ENVIRONMENT, Run
from support.ports import free_port
from support.template import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def home(short_folder: Path) -> Iterator[Path]:
    """An empty home; whatever demo runs in it is stopped at the end."""
    folder = Path(tempfile.mkdtemp(dir=short_folder))
    yield folder
    demo(folder, "stop")


def demo(home: Path, *arguments: str) -> Run:
    return subprocess.run(
        [ROOT / "script" / "demo", *arguments],
        env={**ENVIRONMENT, "HOME": str(home), "TMPDIR": str(home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def status(address: str) -> int:
    connection = http.client.HTTPConnection(address)
    connection.request("GET", "/")
    return connection.getresponse().status


def test_it_makes_a_site_that_answers_until_it_is_stopped(home: Path) -> None:
    taken = free_port()
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", taken))
        holder.listen()
        bind = f"bind=127.0.0.1:{taken}"
        done = demo(home, "language=fr", "project_name=Mon site", bind, "web_interface=off")
    assert done.returncode == 0, done.stderr
    assert f"127.0.0.1:{taken} est occupé ; la démonstration prend 127.0.0.1:" in done.stdout
    address = re.search(r"Le site répond à http://(127\.0\.0\.1:\d+)/", done.stdout)
    assert address
    assert address[1] != f"127.0.0.1:{taken}"
    assert status(address[1]) == 200
    look = re.search(r"Le regarder :  (cd .* && venv/bin/supervisorctl status)", done.stdout)
    assert look
    assert "gu-mon_site:master-1" in subprocess.check_output(look[1], shell=True, text=True)

    again = demo(home)
    assert again.returncode == 1
    assert "A demo runs already" in again.stderr

    assert demo(home, "stop").returncode == 0
    with pytest.raises(ConnectionRefusedError):
        status(address[1])
    assert demo(home, "stop").stdout == "No demo runs.\n"


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("project_nam=x", "project_nam=x is no answer. Write NAME=VALUE, or stop"),
        ("start", "start is no answer. Write NAME=VALUE, or stop"),
        ("project_slug=class", "project_slug = 'class'\n    This is a word of the Python language"),
        ("bind=nonsense", "bind = 'nonsense'\n    Write an IPv4 address, a colon and a port."),
    ],
)
def test_a_wrong_argument_gets_one_message(home: Path, argument: str, message: str) -> None:
    done = demo(home, argument)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
