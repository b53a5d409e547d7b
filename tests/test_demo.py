"""script/demo, as a newcomer runs it: with an empty home folder."""

import http.client
import os
import re
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import demo as script_demo
import pytest
from support.commands import ENVIRONMENT, Run
from support.ports import free_port
from support.project import Site
from support.template import ROOT

from local_extensions.translations import translate

pytestmark = pytest.mark.slow


@pytest.fixture
def home(short_folder: Path) -> Iterator[Path]:
    """An empty home; whatever demo runs in it is stopped at the end."""
    folder = Path(tempfile.mkdtemp(dir=short_folder))
    yield folder
    demo(folder, "stop")


def demo(home: Path, *arguments: str) -> Run:
    """The command; all of this file's share the venv that the first one makes."""
    cache = str(home.parent / "cache")
    return subprocess.run(
        [ROOT / "script" / "demo", *arguments],
        env={**ENVIRONMENT, "HOME": str(home), "TMPDIR": str(home), "XDG_CACHE_HOME": cache},
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


def test_a_free_address_is_used_as_it_was_given(capsys: pytest.CaptureFixture[str]) -> None:
    given = {"bind": f"127.0.0.1:{free_port()}", "web_interface": f"127.0.0.1:{free_port()}"}
    assert script_demo.choose_ports(script_demo.Speaker("en"), given) == given
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("language", "message"),
    [
        ("en", "{address} is taken; the demo uses {next}.\n"),
        ("fr", "{address} est occupé ; la démonstration prend {next}.\n"),
    ],
)
def test_the_web_interface_gets_another_port_than_the_site(
    capsys: pytest.CaptureFixture[str], language: str, message: str
) -> None:
    address = f"127.0.0.1:{free_port()}"
    given = {"bind": address, "web_interface": address}
    chosen = script_demo.choose_ports(script_demo.Speaker(language), given)
    assert chosen["bind"] == address != chosen["web_interface"]
    said = capsys.readouterr().out
    assert said == message.format(address=address, next=chosen["web_interface"])


@pytest.mark.parametrize(
    ("language", "message"),
    [
        ("en", "supervisord (process {pid}) still runs after 1 s: kill -9 {pid} ends it."),
        ("fr", "supervisord (processus {pid}) tourne encore après 1 s : kill -9 {pid} y met fin."),
    ],
)
def test_stop_does_not_wait_for_ever(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch, language: str, message: str
) -> None:
    site = make_site()
    site.start()
    monkeypatch.setattr(script_demo, "demo_folder", lambda: site.path.parent)
    monkeypatch.setattr(script_demo, "SECONDS_TO_STOP", 1)
    assert site.pid
    os.kill(site.pid, signal.SIGSTOP)
    with pytest.raises(script_demo.Failure) as raised:
        script_demo.stop(script_demo.Speaker(language))
    os.kill(site.pid, signal.SIGCONT)
    failure = raised.value
    assert translate(failure.text, language).format(**failure.details) == message.format(
        pid=site.pid
    )
