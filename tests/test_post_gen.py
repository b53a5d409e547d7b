"""What the last hook finds on this machine, after the files are written."""

import os
import socket
import sys
from pathlib import Path

import pytest
from support.commands import ENVIRONMENT, Run
from support.ports import free_port
from support.project import Site
from support.template import ROOT, cookiecutter, copy_template

# Whatever else a folder may be called; its last character stands before the `/` of what is in it.
ODD_NAME = "-a b'`$x ;# \\n*(){x}]&|<>!?~^=,:@+é\u00a0\u2028😀 "


def generate(template: Path, folder: Path, *answers: str) -> Run:
    """Bakes without questions in this folder."""
    return cookiecutter(folder, str(template), "--no-input", *answers)


@pytest.mark.parametrize("character", ["%", '"', "[", "\n", "\t", "\udce9"])
def test_a_path_that_breaks_the_config_is_refused(
    template: Path, short_folder: Path, character: str
) -> None:
    folder = short_folder / f"a{character}b"
    done = generate(template, folder)
    assert done.returncode == 1
    assert f"for the character {character!a}: generate the project in a folder" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "my_site").exists()


def test_the_refusal_comes_in_french(template: Path, short_folder: Path) -> None:
    done = generate(template, short_folder / "100%", "language=fr")
    assert done.returncode == 1
    assert "à cause du caractère '%' : générez le projet dans un dossier" in done.stderr


@pytest.mark.slow
def test_a_site_works_below_a_folder_of_any_other_name(template: Path, short_folder: Path) -> None:
    port, web_port = free_port(), free_port()
    addresses = (f"bind=127.0.0.1:{port}", f"web_interface=127.0.0.1:{web_port}")
    folder = short_folder / ODD_NAME
    done = generate(template, folder, *addresses)
    assert (done.returncode, done.stderr) == (0, "")
    site = Site(folder / "my_site", port, web_port)
    uv = Path(sys.executable).parent
    site.run("./bootstrap.sh", env={**ENVIRONMENT, "PATH": f"{uv}:{ENVIRONMENT['PATH']}"})
    try:
        site.start()
        assert site.supervisorctl("rolling_restart", "gu-my_site").returncode == 0
        assert site.get("/").status == 200
    finally:
        site.stop()


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


def test_a_template_from_a_zip_gives_scripts_that_run(tmp_path: Path, folder: Path) -> None:
    """Cookiecutter takes a zip's files without their modes."""

    def scripts(path: Path) -> set[str]:
        files = (file for file in path.rglob("*") if file.is_file())
        return {str(f.relative_to(path)) for f in files if f.stat().st_mode & 0o111 == 0o111}

    template = copy_template(tmp_path)
    answers = (f"bind=127.0.0.1:{free_port()}", "web_interface=off")
    assert generate(template, folder / "good", *answers).stderr == ""
    for file in template.rglob("*"):
        if file.is_file():
            file.chmod(0o644)
    done = generate(template, folder / "zip", *answers)
    assert (done.returncode, done.stderr) == (0, "")
    found = scripts(folder / "zip" / "my_site")
    assert found == scripts(folder / "good" / "my_site")
    assert {"bootstrap.sh", "manage.py", "deploy/release.sh"} <= found


@pytest.mark.parametrize(
    ("language", "slug", "message"),
    [
        ("en", "my_site", "The template has the line endings of Windows (CRLF), and no shell runs"),
        ("fr", "mon_site", "Le modèle a les fins de ligne de Windows (CRLF), et aucun shell"),
    ],
)
def test_a_checkout_of_windows_is_refused(
    tmp_path: Path, folder: Path, language: str, slug: str, message: str
) -> None:
    template = copy_template(tmp_path)
    for file in template.rglob("*"):
        if file.is_file() and file.suffix != ".png":
            file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    done = generate(template, folder, f"language={language}")
    assert done.returncode == 1
    assert done.stderr.startswith(message)
    assert "Traceback" not in done.stderr
    assert not (folder / slug).exists()


def test_git_gives_nobody_such_line_endings() -> None:
    for file in (ROOT, next(ROOT.glob("{{*}}"))):
        assert "* text=auto eol=lf" in (file / ".gitattributes").read_text().splitlines()
