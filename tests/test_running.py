"""Every way to run the template: where it comes from, where its answers come from."""

import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.commands import ENVIRONMENT, Run
from support.git import GIT_AUTHOR, commit_all, git
from support.template import LANGUAGES, cookiecutter, copy_template


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The template as a git repository of one commit."""
    path = tmp_path / "django-gunicorn-supervisor"
    path.mkdir()
    copy_template(path)
    git(path, "init", "--quiet", "--initial-branch=main")
    commit_all(path)
    return path


def is_whole(project: Path) -> bool:
    return (project / "deploy" / "supervisord.conf").is_file() and (project / "manage.py").is_file()


def test_from_a_git_url(folder: Path, repository: Path) -> None:
    done = cookiecutter(folder, f"file://{repository}", "--no-input", "--checkout", "main")
    assert done.returncode == 0, done.stderr
    assert is_whole(folder / "my_site")


def test_from_a_zip(folder: Path, repository: Path, tmp_path: Path) -> None:
    git(repository, "archive", "--prefix=template/", f"--output={tmp_path / 't.zip'}", "HEAD")
    done = cookiecutter(folder, str(tmp_path / "t.zip"), "--no-input")
    assert done.returncode == 0, done.stderr
    assert is_whole(folder / "my_site")


def test_with_answers_on_the_command_line(folder: Path, template: Path) -> None:
    answers = ("language=fr", "project_name=Chez Zoé", "web_interface=off")
    assert cookiecutter(folder, str(template), "--no-input", *answers).returncode == 0
    assert "# Chez Zoé" in (folder / "chez_zoe" / "README.md").read_text()


def test_with_the_answers_of_the_users_config(folder: Path, template: Path) -> None:
    config = folder / "config.yaml"
    config.write_text('default_context:\n  author_name: "Zoé O\'Brien"\n  language: fr\n')
    done = cookiecutter(folder, str(template), "--no-input", "--config-file", str(config))
    assert done.returncode == 0, done.stderr
    assert "Zoé O'Brien" in (folder / "mon_site" / "README.md").read_text()


def test_replay(folder: Path, template: Path) -> None:
    assert cookiecutter(folder, str(template), "--no-input", "project_slug=again").returncode == 0
    shutil.rmtree(folder / "again")
    assert cookiecutter(folder, str(template), "--replay").returncode == 0
    assert is_whole(folder / "again")


def test_replay_file_after_a_refusal(folder: Path, template: Path) -> None:
    """The folder was wrong, the answers good: they are kept for a better place."""
    deep = folder / ("d" * 80)
    assert cookiecutter(deep, str(template), "--no-input", "project_slug=kept").returncode == 1
    replay = deep / "home" / ".cookiecutter_replay" / f"{template.name}.json"
    done = cookiecutter(folder, str(template), "--replay-file", str(replay))
    assert done.returncode == 0, done.stderr
    assert is_whole(folder / "kept")


def cruft(folder: Path, *arguments: str, below: str = ".") -> Run:
    """Cruft's command, in the folder below this one, which is home and holds temporary files."""
    environment = {**ENVIRONMENT, **GIT_AUTHOR, "HOME": str(folder), "TMPDIR": str(folder)}
    return subprocess.run(
        [sys.executable, "-m", "cruft", *arguments],
        cwd=folder / below,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_cruft_creates_and_updates(folder: Path, repository: Path) -> None:
    created = cruft(folder, "create", str(repository), "--no-input")
    assert created.returncode == 0, created.stderr
    project = folder / "my_site"
    assert is_whole(project)
    git(project, "init", "--quiet")
    commit_all(project)

    css = repository / "{{cookiecutter.project_slug}}/pages/static/pages/site.css"
    css.write_text(css.read_text().replace("3rem", "4rem"))
    git(repository, "commit", "--quiet", "--all", "--message=second")
    updated = cruft(folder, "update", "--skip-apply-ask", below="my_site")
    assert updated.returncode == 0, updated.stderr
    assert "4rem" in (project / "pages/static/pages/site.css").read_text()
    assert git(project, "status", "--porcelain").split() == [
        *("M", ".cruft.json"),
        *("M", "docs/updates.md"),  # names the commit
        *("M", "pages/static/pages/site.css"),
    ]


def test_cruft_refuses_wrong_answers(folder: Path, repository: Path) -> None:
    wrong = '{"project_slug": "class"}'
    done = cruft(folder, "create", str(repository), "--no-input", "--extra-context", wrong)
    assert done.returncode == 1
    assert "project_slug = 'class'" in done.stderr
    assert not (folder / "class").exists()


@pytest.mark.parametrize(
    ("locale", "hooks", "last_question"),
    [
        ("C.UTF-8", "yes", "User that runs the site on the server"),
        ("fr_FR.UTF-8", "yes", "Utilisateur qui fait tourner le site sur le serveur"),
        ("fr_FR.UTF-8", "no", "User that runs the site on the server"),
    ],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_in_a_terminal(
    folder: Path, template: Path, language: str, locale: str, hooks: str, last_question: str
) -> None:
    """Fourteen questions in the locale's language: the site's language, then Return each time.

    The end of the input comes behind them: nobody waits for an answer to one more.
    """
    master, terminal = pty.openpty()
    asked = subprocess.Popen(
        [sys.executable, "-m", "cookiecutter", f"--accept-hooks={hooks}", str(template)],
        cwd=folder,
        env={**ENVIRONMENT, "HOME": str(folder), "TERM": "dumb", "LANG": locale, "COLUMNS": "200"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    os.write(master, f"{LANGUAGES.index(language) + 1}\n".encode() + b"\n" * 13 + b"\x04")
    shown = b""
    while True:
        try:
            shown += os.read(master, 65536)
        except OSError:  # the terminal's other end is closed
            break
    os.close(master)
    assert asked.wait() == 0, shown.decode()
    assert re.search(rf"\[14/14\] {last_question} \(www-data\)", shown.decode())
    project = folder / {"en": "my_site", "fr": "mon_site"}[language]
    assert is_whole(project)
    assert f'LANGUAGE_CODE = "{language}"' in (project / project.name / "settings.py").read_text()


@pytest.mark.parametrize(
    ("environment", "french"),
    [
        ({}, False),
        ({"LANG": "fr_FR.UTF-8"}, True),
        ({"LANG": "fr"}, True),
        ({"LANG": "fr.UTF-8"}, True),
        ({"LANG": "fy_NL.UTF-8"}, False),
        ({"LANG": "fr_CA", "LC_MESSAGES": "en_CA.UTF-8"}, False),
        ({"LANG": "en_US", "LC_ALL": "fr_BE.UTF-8"}, True),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "fr:en"}, True),
        ({"LANG": "fr_FR.UTF-8", "LANGUAGE": "en:fr"}, False),
        ({"LANG": "C.UTF-8", "LANGUAGE": "fr"}, False),
        ({"LC_ALL": "C", "LANG": "fr_FR.UTF-8"}, False),
        ({"LC_ALL": "", "LANG": "fr_FR.UTF-8"}, True),
    ],
)
def test_which_locale_is_french(environment: dict[str, str], french: bool) -> None:
    from local_extensions.prompts import wants_french

    assert wants_french(environment) is french


def test_the_default_project_is_the_same_everywhere(folder: Path, template: Path) -> None:
    """Neither the locale nor the user changes what --no-input makes."""
    places = [
        {"LC_ALL": "C", "USER": "zoe"},
        {"LANG": "fr_FR.UTF-8", "LANGUAGE": "fr", "TZ": "Asia/Tokyo"},
    ]
    contents = []
    for number, place in enumerate(places):
        output = folder / str(number)
        done = cookiecutter(output, str(template), "--no-input", **place)
        assert done.returncode == 0, done.stderr
        project = output / "my_site"
        files = (path for path in project.rglob("*") if path.is_file())
        contents.append({path.relative_to(project): path.read_bytes() for path in files})
    assert contents[0] == contents[1] != {}
