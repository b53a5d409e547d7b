"""What the settings say of a .env that is wrong: a sentence with its path, never a value of it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.commands import USER
from support.project import Site

pytestmark = pytest.mark.slow

KEY = "$abc#d%e'f\"g"
SHOW = "from django.conf import settings as s; print(s.SECRET_KEY, s.DEBUG, s.ALLOWED_HOSTS)"

EMAIL_URL = (
    ": write EMAIL_URL as smtp+tls://user:password@smtp.example.org:587, with %40 for @ and the like"
    " in user and password, or as consolemail://."
)


@pytest.fixture
def env(site: Site) -> Iterator[Path]:
    """The path of .env, which is back after the test."""
    file = site.path / ".env"
    before = file.read_bytes()
    yield file
    file.unlink()
    file.write_bytes(before)
    file.chmod(0o600)


@pytest.mark.parametrize(
    "text",
    [
        f"SECRET_KEY={KEY}\nDEBUG=on\nALLOWED_HOSTS=$a,b\n",
        f"\ufeffSECRET_KEY={KEY}\r\nDEBUG=True\r\n\r\nALLOWED_HOSTS=$a,b\r\n",
        f"  # A comment\nexport SECRET_KEY='{KEY}'\nDEBUG=1\n \nALLOWED_HOSTS=$a,b",
    ],
)
def test_values_are_taken_as_they_stand(site: Site, env: Path, text: str) -> None:
    env.write_bytes(text.encode())
    done = site.python("manage.py", "shell", "--no-imports", "-c", SHOW)
    assert (done.stdout, done.stderr) == (f"{KEY} True ['$a', 'b']\n", "")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f"SECRET_KEY = {KEY}\n", ", line 1: write NAME=value, with no space before it or around =."),
        (f"# x\nSECRET_KEY= {KEY}\n", ", line 2: write NAME=value, with no space before it or around =."),
        (f" SECRET_KEY={KEY}\n", ", line 1: write NAME=value, with no space before it or around =."),
        (f"SECRET_KEY\n{KEY}\n", ", line 1: write NAME=value, with no space before it or around =."),
        (f"SECRET_KEY={KEY}é\n".encode("latin-1"), " is not in UTF-8: save it in this encoding."),
        (f"SECRET_KEY={KEY}\n".encode("utf-16"), " is not in UTF-8: save it in this encoding."),
        (f"SECRET_KEY={KEY}\n".encode("utf-16-le"), ", line 1: write NAME=value, with no space before it or around =."),
        (f"#SECRET_KEY={KEY}\nDEBUG=on\n", " lacks SECRET_KEY: add its line, as .env.example has it; a .env that is missing is written by ./bootstrap.sh."),
        ("SECRET_KEY=\n", " lacks SECRET_KEY: add its line, as .env.example has it; a .env that is missing is written by ./bootstrap.sh."),
        ("SECRET_KEY=x\nEMAIL_URL=smpt://zoe:pa55@mail.example.org\n", EMAIL_URL),
        ("SECRET_KEY=x\nEMAIL_URL=smtp://\n", EMAIL_URL),
        ("SECRET_KEY=x\nEMAIL_URL=smtp://zoe:pa/55@mail.example.org\n", EMAIL_URL),
        ("SECRET_KEY=x\nADMINS=Zoé <zoe@example.org>, ada\n", ": write ADMINS as addresses, with a comma between: ada@example.org, Zoe <zoe@example.org>."),
        ("SECRET_KEY=x\nHTTPS=oui\n", ": write HTTPS as on or off."),
        ("SECRET_KEY=x\nDEBUG=on  # for now\n", ": write DEBUG as on or off."),
        (None, " cannot be read: Is a directory."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_sentence(
    site: Site, env: Path, content: str | bytes | None, said: str
) -> None:
    if content is None:
        kept = env.rename(env.with_name("kept"))
        env.mkdir()
    elif isinstance(content, str):
        env.write_text(content)
    else:
        env.write_bytes(content)
    try:
        done = site.python("manage.py", "check", check=False)
        gunicorn = ("--check-config", "--config", "deploy/gunicorn.conf.py")
        other = site.run("venv/bin/gunicorn", *gunicorn, check=False)
    finally:
        if content is None:
            env.rmdir()
            kept.rename(env)
    for run in (done, other):
        assert (run.returncode, run.stderr) == (1, f"{env}{said}\n")


def test_bootstrap_lists_what_the_example_has_and_env_lacks(site: Site, env: Path) -> None:
    example = site.path / ".env.example"
    before = example.read_text()
    example.write_text(before + "NEW=7\nDECIDED=8\n")
    with env.open("a") as file:
        file.write("# DECIDED=9\n")
    done = site.run("./bootstrap.sh")
    example.write_text(before)
    lines = done.stdout.splitlines()
    said = "lacks what .env.example has. Add each line with your value, or with a # in front:"
    assert lines[:2] == [f"{env} {said}", "  NEW=7"]
    assert "DECIDED" not in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user's file")
def test_a_file_of_another_user_is_said(site: Site, env: Path) -> None:
    shutil.chown(env, USER)
    # Root itself, without the right to read everything
    caps = "=-dac_override,-dac_read_search"
    command = ("setpriv", f"--bounding-set{caps}", f"--inh-caps{caps}", "venv/bin/python")
    done = site.run(*command, "manage.py", "check", check=False)
    assert (done.returncode, done.stderr) == (1, f"{env} cannot be read: Permission denied.\n")
