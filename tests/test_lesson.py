"""The generated README: true in both languages, and each of its commands does what it says."""

import ast
import configparser
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import LANGUAGES, Project
from lesson import Lesson, Reader, lesson_of, made, serves, shown

from local_extensions.translations import translate

__all__ = ["made"]  # a fixture

# Blocks that need a server or a second machine: what they run, and where that is tested.
ELSEWHERE = {
    "sudo deploy/release.sh\n": "root's: tests/booted; as its owner, with --into: here",
    "sudo apt install python3-venv": "root's: tests/booted installs on Debian 12 and 13",
    "sudo service supervisord status\n": "of an installed site: tests/booted",
    "sudo apt install certbot": "a certificate takes a public name; https.conf: test_nginx.py",
    "ssh -N": "from another machine: the trouble of the web interface, here",
}
INTERACTIVE = {
    "venv/bin/python manage.py createsuperuser\n": {
        "Username": "reader",
        "Email address": "reader@example.com",
        "Password:": "I like gunicorns",
        "Password (again)": "I like gunicorns",
    }
}


@pytest.fixture(scope="module", params=["127.0.0.1:9001", "off"], ids=["web", "no-web"])
def both(request: pytest.FixtureRequest, bake: Callable[..., Project]) -> dict[str, Project]:
    """The same project in both languages."""
    answers = {
        "project_slug": "lesson",
        "web_interface": request.param,
        "author_name": "Zoé",
    }
    return {language: bake(language=language, **answers) for language in LANGUAGES}


# What it says


def as_the_site_says(text: str) -> str:
    """A block of the English lesson with the site's own messages in French."""
    for english in ("%s: restarting (%d of %d)", "%s: running"):
        message = re.escape(english).replace("%s", r"(\S+)").replace("%d", r"(\d+)")
        french = translate(english, "fr").replace("%d", "%s")
        for found in re.finditer(message, text):
            text = text.replace(found[0], french % found.groups())
    return text


def test_both_languages_say_the_same(both: dict[str, Project]) -> None:
    english, french = (lesson_of(both[language]) for language in LANGUAGES)
    assert len(english.sections) > 30
    assert [each.level for each in french.sections] == [each.level for each in english.sections]
    for ours, theirs in zip(french.sections, english.sections, strict=True):
        blocks = [(kind, as_the_site_says(text)) for kind, text in theirs.blocks]
        assert ours.blocks == blocks, ours.title
        assert sorted(ours.spans) == sorted(theirs.spans), ours.title
        assert ours.links == theirs.links, ours.title
        assert len(ours.prose) == len(theirs.prose), ours.title


def test_french_is_written_with_french_typography(both: dict[str, Project]) -> None:
    for section in lesson_of(both["fr"]).sections:
        for prose in section.prose:
            assert not re.search("[^\u202f][;!?]", prose), prose
            assert not re.search("[^\u00a0]:", prose), prose
            assert not re.search("«[^\u00a0]|[^\u00a0]»", prose), prose
            assert not re.search("['\"]|[.]{3}|oeu|Etat|Ecri[vt]|^A ", prose), prose
        for code in (*section.spans, *(text for _, text in section.blocks)):
            assert not re.search("[\u202f\u00a0’«»]", code), code


@pytest.mark.parametrize("language", LANGUAGES)
def test_quoted_files_are_the_files(both: dict[str, Project], language: str) -> None:
    deploy = both[language].path / "deploy"
    files = {
        "ini": (deploy / "supervisord.conf").read_text().splitlines(),
        "nginx": [line.strip() for line in (deploy / "nginx" / "site.conf").open()],
    }
    quoted = [
        (kind, line)
        for section in lesson_of(both[language]).sections
        for kind, text in section.blocks
        if kind in files
        for line in text.splitlines()
    ]
    assert [(kind, line) for kind, line in quoted if line not in files[kind]] == []
    # Nothing of supervisord.conf is left out.
    settings = [line for line in files["ini"] if line and not line.startswith(";")]
    assert {line for kind, line in quoted if kind == "ini" and line} == set(settings)


def test_each_setting_has_its_reason(both: dict[str, Project]) -> None:
    """Nothing of supervisord.conf and gunicorn.conf.py is left out."""
    project = both["en"]
    lesson = lesson_of(project)
    config = configparser.RawConfigParser()
    config.read(project.path / "deploy" / "supervisord.conf")
    gunicorn = ast.parse((project.path / "deploy" / "gunicorn.conf.py").read_text())
    ours = {
        node.id
        for node in ast.walk(gunicorn)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }

    titles = [section.title for section in lesson.sections]
    part = slice(
        titles.index("How supervisorctl reaches it"), titles.index("gunicorn's own settings")
    )
    named = {span for section in lesson.sections[part] for span in section.spans}
    assert {option for section in config.sections() for option in config[section]} <= named
    table = {
        name for name in lesson.section("gunicorn's own settings").spans if name.isidentifier()
    }
    assert table == ours - {"set_parent_death_signal"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_it_names_exists(both: dict[str, Project], language: str) -> None:
    project = both[language]
    written = "\n".join(
        (project.path / name).read_text()
        for name in ("lesson/settings.py", ".env.example", "deploy/gunicorn.conf.py")
    )
    made_later = {"venv", ".env", "releases", "var", "web_interface.conf", "wheels"}
    spans = lesson_of(project).spans
    paths = {
        found
        for span in spans
        for found in re.findall(
            r"(?:^|\s)((?:\./)?[\w.]+/[\w./-]*|[\w]+\.(?:sh|txt|py|conf))", span
        )
    }
    assert len(paths) > 15
    for path in paths:
        name = path.removeprefix("./").rstrip("/")
        there = (project.path / name).exists() or ("/" not in name and [*project.path.rglob(name)])
        assert {*Path(name).parts} & made_later or there, path
    names = {found for span in spans for found in re.findall(r"\b[A-Z]{4,}[A-Z_]*\b", span)}
    names -= {"FATAL", "EACCES", "DISCOUNT"}
    assert "ALLOWED_HOSTS" in names
    assert [name for name in names if name not in written] == []


# What it does


def lines_of(lesson: Lesson) -> Iterator[tuple[str, str]]:
    """Each block of commands before the troubles, and what the lesson shows of its output."""
    titles = [section.title for section in lesson.sections]
    blocks = [
        block
        for section in lesson.sections[: titles.index("Troubles")]
        for block in section.blocks
        if block[0] in ("sh", "text")
    ]
    for (kind, text), (following, sample) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if kind == "sh":
            yield text, sample if following == "text" else ""


def test_the_commands_run_in_order_as_written(made: Reader) -> None:
    listed = set()
    for block, sample in lines_of(lesson_of(made)):
        elsewhere = [start for start in ELSEWHERE if block.startswith(start)]
        listed.update(elsewhere)
        if elsewhere:
            continue
        if block in INTERACTIVE:
            made.answer(block.strip(), INTERACTIVE[block])
            continue
        output = made.type(block, check=not sample)
        deadline = time.monotonic() + 60
        while sample and not shown(sample, output):
            # A machine slower than the reader's: the last command is asked again.
            assert time.monotonic() < deadline, (block, output)
            output = made.type(block.splitlines()[-1], check=False)
    assert listed == set(ELSEWHERE)
    assert serves(made)
