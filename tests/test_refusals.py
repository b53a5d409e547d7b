"""What a user reads where an answer is wrong, and what is left behind: nothing."""

import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_cookies.plugin import Result
from support.template import cookiecutter

from local_extensions.answers import EXAMPLES, RULES, problems
from local_extensions.refusals import refusal
from local_extensions.suggestions import suggestion

WRONG = ("project_slug=mon-site", "email=Zoé <zoe@example.fr>", "web_interface=8.8.8.8:9001")
ENGLISH = """\
No project was made, because of these answers:

project_slug = 'mon-site'
    Write a letter from a to z, then at most 39 small letters, digits or _.
    For example: mon_site

email = 'Zoé <zoe@example.fr>'
    Write one address, as name@domain.
    For example: zoe@example.fr

web_interface = '8.8.8.8:9001'
    Whoever reaches the web interface can stop the site: give it a loopback or private address, or off.
    For example: 127.0.0.1:9001

To run it again with the suggestions and your other answers:

"""


def files(folder: Path) -> list[Path]:
    """All but the copy of the template for hooks/pre_prompt.py: Cookiecutter forgets it."""
    copies = [*folder.glob("home/cookiecutter*")]
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(copy in path.parents for copy in copies)
    ]


@pytest.mark.parametrize("hooks", ["yes", "no"])
def test_all_wrong_answers_are_shown_at_once(folder: Path, template: Path, hooks: str) -> None:
    done = cookiecutter(folder, str(template), "--no-input", f"--accept-hooks={hooks}", *WRONG)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(ENGLISH)
    assert files(folder) == []
    assert not (folder / "mon-site").exists()


def test_the_command_shown_repeats_the_run(folder: Path, template: Path) -> None:
    """Pasted into a shell as it is, it gives the project with the good answers."""
    name = 'project_name=L\'Été à Paris – 100 % "sûr" $HOME'
    options = ("--no-input", "--output-dir", "sub dir", "--accept-hooks", "no")
    done = cookiecutter(folder, str(template), *options, name, *WRONG)
    command = done.stderr.splitlines()[-1]
    assert command.startswith("cookiecutter ")
    words = subprocess.run(
        ["/bin/sh", "-c", f"printf '%s\\0' {command}"], capture_output=True, text=True, check=True
    ).stdout.split("\0")
    assert words == [*shlex.split(command), ""]

    again = cookiecutter(folder, *words[1:-1])
    assert again.returncode == 0, again.stderr
    settings = (folder / "sub dir" / "mon_site" / "mon_site" / "settings.py").read_text()
    assert """SITE_NAME = 'L\\'Été à Paris – 100 % "sûr" $HOME'""" in settings
    assert "zoe@example.fr" in settings


def test_the_message_comes_in_french(folder: Path, template: Path) -> None:
    done = cookiecutter(folder, str(template), "--no-input", "language=fr", *WRONG)
    assert done.returncode == 1
    assert done.stderr.startswith("Aucun projet n'a été créé, à cause de ces réponses :\n")
    assert "Par exemple : mon_site" in done.stderr
    assert "Pour recommencer avec les suggestions et vos autres réponses :\n" in done.stderr


@pytest.mark.parametrize(
    ("encoding", "first_line"),
    [
        ("ascii", "Aucun projet n'a ete cree, a cause de ces reponses :"),
        ("latin-1", "Aucun projet n'a été créé, à cause de ces réponses :"),
    ],
)
def test_an_old_terminal_can_show_the_message(
    folder: Path, template: Path, encoding: str, first_line: str
) -> None:
    terminal = {"PYTHONIOENCODING": encoding}
    arguments = (str(template), "--no-input", "language=fr", "email=x", "project_name=Œuvre 😀")
    # The bytes are read as UTF-8: what is none shows as a replacement character.
    done = cookiecutter(folder, *arguments, **terminal, PYTHONUTF8="0")
    shown = done.stderr.encode("utf-8", "surrogateescape").decode(encoding)
    assert shown.splitlines()[0] == first_line


def test_an_existing_project_is_untouched(folder: Path, template: Path) -> None:
    assert cookiecutter(folder, str(template), "--no-input").returncode == 0
    before = {path: path.read_bytes() for path in files(folder / "my_site")}
    wrong = ("--no-input", "--overwrite-if-exists", "project_slug=my_site", "email=x")
    done = cookiecutter(folder, str(template), *wrong)
    assert done.returncode == 1
    assert {path: path.read_bytes() for path in files(folder / "my_site")} == before


def test_a_replay_file_is_held_to_the_same_rules(folder: Path, template: Path) -> None:
    assert cookiecutter(folder, str(template), "--no-input").returncode == 0
    replay = folder / "home" / ".cookiecutter_replay" / f"{template.name}.json"
    context = json.loads(replay.read_text())
    context["cookiecutter"] |= {"project_slug": "class", "email": None}
    changed = folder / "changed.json"
    changed.write_text(json.dumps(context))

    done = cookiecutter(folder, str(template), "--replay-file", str(changed))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "project_slug = 'class'\n" in done.stderr
    assert "email = None\n    The answer is missing, or is not a text." in done.stderr
    assert not (folder / "class").exists()


def test_the_api_is_held_to_the_same_rules(try_bake: Callable[..., Result]) -> None:
    result = try_bake(run_user="root")
    assert (type(result.exception), result.exit_code) == (SystemExit, 1)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("projet_name=x", "projet_name is no answer of this template; they are: language, "),
        (
            "description={{ 7*7 }}",
            "description = '{{ 7*7 }}'\n    {{, {% and {# belong to the templates",
        ),
        ("description={% x", "description = '{% x'\n    {{, {% and {# belong to the templates"),
    ],
)
def test_what_cookiecutter_would_misread_is_refused(
    folder: Path, template: Path, argument: str, message: str
) -> None:
    """It passes over a misspelt name, and renders a value as a template."""
    done = cookiecutter(folder, str(template), "--no-input", argument)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(message)
    assert "Traceback" not in done.stderr
    assert files(folder) == []


@pytest.mark.parametrize(
    ("answer", "value", "suggested"),
    [
        ("project_slug", "mon-site", "mon_site"),
        ("project_slug", "Class", "class_site"),
        ("project_slug", "2 blogs", "site_2_blogs"),
        ("project_name", " a\u202eb ", "ab"),
        ("project_name", "{{ x }}", "x"),
        ("project_name", "x" * 90, "x" * 80),
        ("email", "Zoé <zoe@example.fr>", "zoe@example.fr"),
        ("email", "zoe", ""),
        ("domain_name", "https://www.example.fr:8000/x", "www.example.fr"),
        ("domain_name", "*.example.fr", "example.fr"),
        ("domain_name", "10.0.0.1", ""),
        ("time_zone", "paris", "Europe/Paris"),
        ("time_zone", "New York", "America/New_York"),
        ("time_zone", "utc", "UTC"),
        ("time_zone", "us/pacific", "America/Los_Angeles"),
        ("time_zone", "Kiev", "Europe/Kyiv"),
        ("time_zone", "posixrules", ""),
        ("bind", "8000", "127.0.0.1:8000"),
        ("bind", "[::1]:8000", "127.0.0.1:8000"),
        ("bind", "127.0.0.1:80", "127.0.0.1:8080"),
        ("web_interface", "0.0.0.0:9001", "127.0.0.1:9001"),
        ("web_interface", "127.0.0.1:8000", "127.0.0.1:8001"),
        ("install_dir", "/srv//x/", "/srv/x"),
        ("install_dir", "/etc/x", "/srv/x"),
        ("run_user", "Zoé", "zoe"),
        ("run_user", "root", "www-data"),
    ],
)
def test_suggestion(answer: str, value: str, suggested: str) -> None:
    """Nothing is invented: where nothing can be made of a value, there is none."""
    given = {**EXAMPLES, answer: value}
    assert suggestion(answer, value, given) == suggested
    assert not suggested or problems({**EXAMPLES, answer: suggested}) == []


@pytest.mark.parametrize("answer", RULES)
@pytest.mark.parametrize("value", ["", None, 7, "\0", "x" * 300, "{{", "١٢٣", "-", "🙂:9"])
def test_every_suggestion_is_accepted(answer: str, value: object) -> None:
    given = {**EXAMPLES, answer: value}
    suggested = suggestion(answer, value, given)
    assert not suggested or problems({**given, answer: suggested}) == []


def test_the_command_leaves_open_what_only_the_user_knows() -> None:
    message = refusal({**EXAMPLES, "language": "en", "email": "zoe", "run_user": "root"})
    assert "For example: zoe@example.com" in message
    assert " email= " in message
    assert " run_user=www-data" in message
    assert message.endswith("Write your answer behind: email=")
