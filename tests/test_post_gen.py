"""What the last hook finds on this machine, after the files are written."""

import os
import socket
from pathlib import Path

import pytest
from support.commands import Run
from support.ports import free_port
from support.template import cookiecutter, copy_template

from local_extensions.supervisor_config import WrongConfig, read

CONFIG = "{{cookiecutter.project_slug}}/deploy/supervisord.conf"


@pytest.fixture
def own_template(tmp_path: Path) -> Path:
    """A copy of the template that a test may spoil."""
    return copy_template(tmp_path)


def generate(template: Path, folder: Path, *answers: str) -> Run:
    """Bakes without questions in this folder."""
    return cookiecutter(folder, str(template), "--no-input", *answers)


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        (
            CONFIG,
            "autorestrat = true",
            "supervisord knows no key autorestrat in [fcgi-program:gu-my_site]",
        ),
        (CONFIG, "numprocs = 3", "supervisord cannot read deploy/supervisord.conf: "),
        (
            CONFIG,
            "[programme:x]",
            "supervisord knows no section [programme:x] (deploy/supervisord.conf).",
        ),
        (CONFIG, "no equals sign", "supervisord cannot read deploy/supervisord.conf: "),
        (
            "{{cookiecutter.project_slug}}/manage.py",
            "if:",
            "manage.py cannot be run: invalid syntax",
        ),
        ("{{cookiecutter.project_slug}}/bootstrap.sh", "if", "bootstrap.sh cannot be run: "),
    ],
)
def test_a_broken_project_is_refused(
    own_template: Path, short_folder: Path, file: str, line: str, message: str
) -> None:
    with (own_template / file).open("a") as spoilt:
        spoilt.write(f"{line}\n")
    done = generate(own_template, short_folder / "broken")
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (short_folder / "broken" / "my_site").exists()


def test_a_path_too_long_for_a_unix_socket_is_refused(template: Path, short_folder: Path) -> None:
    done = generate(template, short_folder / ("d" * 90), "language=fr")
    assert done.returncode == 1
    assert "octets et le système en admet" in done.stderr
    assert not (short_folder / ("d" * 90) / "mon_site").exists()


def test_the_longest_accepted_path_can_be_bound(template: Path, short_folder: Path) -> None:
    """The limit counts the suffix that supervisord adds while it binds its socket."""
    room = 107 - len(os.fsencode(short_folder)) - len("//my_site/var/ctl.sock") - len(".4194304")
    folder = short_folder / ("d" * room)
    assert generate(template, folder).returncode == 0
    path = folder / "my_site" / "var" / "ctl.sock"
    with socket.socket(socket.AF_UNIX) as unix_socket:
        unix_socket.bind(f"{path}.4194304")
    assert generate(template, short_folder / ("d" * (room + 1))).returncode == 1


def test_a_taken_port_is_only_a_warning(template: Path, short_folder: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", free_port()))
        holder.listen()
        address = "{}:{}".format(*holder.getsockname())
        done = generate(template, short_folder / "taken", f"bind={address}", "web_interface=off")
    assert done.returncode == 0
    assert done.stderr == f"Warning: something already listens on {address} of this machine.\n"
    assert (short_folder / "taken" / "my_site").is_dir()


def test_the_config_is_read_as_supervisor_reads_it(tmp_path: Path) -> None:
    """Its inline comments, and its keys in whichever case."""
    config = tmp_path / "supervisord.conf"
    config.write_text("[supervisord]\nlogfile = a;b ; a comment\nPidfile=x\n")
    parser = read(str(config))
    assert parser["supervisord"]["logfile"] == "a;b"
    config.write_text("[supervisord]\nuser = a\nUSER = b\n")
    with pytest.raises(WrongConfig):
        read(str(config))
