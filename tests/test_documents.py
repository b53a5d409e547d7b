"""The template's own documents, and what GitHub and pre-commit read."""

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from pytest_cookies.plugin import Result
from support.documents import Document
from support.template import LANGUAGES, READMES, ROOT, read

from local_extensions.translations import keyboard

DOCUMENTS = sorted(path.name for path in ROOT.glob("*.md"))
PICTURES = sorted(path.name for path in (ROOT / "pictures").glob("*.svg"))
# The documents lead nowhere else.
HOSTS = {
    "cookiecutter.readthedocs.io",
    "cookiecutter-django.readthedocs.io",
    "docs.astral.sh",
    "github.com",
    "huey.readthedocs.io",
    "keepachangelog.com",
    "pypi.org",
    "python-rq.org",
    "semver.org",
    "uwsgi-docs.readthedocs.io",
}
WORKFLOW = ".github/workflows/ci.yml"


def table(document: str) -> dict[str, str]:
    """The first column's piece of code → the second's, in tables whose first column is code."""
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)`", read(document), re.MULTILINE)
    return dict(rows)


def test_the_readmes_say_the_same(try_bake: Callable[..., Result]) -> None:
    """But for the comments of commands, the default answers, and the links to each other."""
    english, french = (
        Document(re.sub(" +# .*", "", read(READMES[language]))) for language in LANGUAGES
    )
    answers = {language: try_bake(language=language).context for language in LANGUAGES}
    names = ("project_slug", "project_name", "description", "author_name")
    defaults = {answers["en"][name]: keyboard(answers["fr"][name]) for name in names}

    def in_french(text: str) -> str:
        if text == READMES["fr"]:
            return READMES["en"]
        if text == "UPGRADING.md":
            return "UPGRADING.fr.md"
        for ours, theirs in defaults.items():
            text = text.replace(ours, theirs)
        return re.sub(r"^(pictures/.*)\.en\.", r"\1.fr.", text)

    french.check_translation(english, in_french)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_readmes_name_every_question_with_its_default(
    language: str, try_bake: Callable[..., Result]
) -> None:
    names = [name for name in json.loads(read("cookiecutter.json")) if not name.startswith("_")]
    answers = try_bake(language=language).context
    defaults = {name: keyboard(answers[name]) for name in names} | {"language": "en"}
    assert list(table(READMES[language]).items()) == list(defaults.items())


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_somewhere(document: str) -> None:
    for link in Document(read(document)).links:
        address = urlsplit(link)
        if address.hostname == "127.0.0.1":
            continue
        if address.scheme:
            assert (address.scheme, address.hostname) in {("https", host) for host in HOSTS}
            continue
        target = address.path or document
        assert (ROOT / target).is_file(), link
        if address.fragment:
            sections = Document(read(target)).sections
            titles = [re.sub(r"[^\w -]", "", section.title.lower()) for section in sections]
            assert address.fragment in [title.replace(" ", "-") for title in titles], link


@pytest.mark.parametrize("name", [*DOCUMENTS, *(f"pictures/{name}" for name in PICTURES)])
def test_no_document_tells_of_one_machine(name: str) -> None:
    assert not re.search(r"/(?:home|tmp|work|Users)/\w", read(name))


@pytest.mark.parametrize("document", [READMES["fr"], "UPGRADING.fr.md"])
def test_the_french_documents_have_french_typography(document: str) -> None:
    Document(read(document)).check_typography()


def test_both_upgradings_say_the_same() -> None:
    english, french = (Document(read(name)) for name in ("UPGRADING.md", "UPGRADING.fr.md"))
    french.check_translation(english, lambda text: "UPGRADING.md" if ".fr." in text else text)


def test_actions_are_pinned_to_a_commit() -> None:
    workflow: dict[Any, Any] = yaml.safe_load(read(WORKFLOW))
    assert workflow["permissions"] == {"contents": "read"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert any(".ci/run" in step.get("run", "") for step in steps)
    lines = re.findall(r"uses: (.*)", read(WORKFLOW))
    assert len(lines) == sum("uses" in step for step in steps)
    for line in lines:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_dependabot_watches_every_lock() -> None:
    updates = yaml.safe_load(read(".github/dependabot.yml"))["updates"]
    watched = {each["directory"] for each in updates if each["package-ecosystem"] == "uv"}
    locks = {path.parent for path in ROOT.glob("**/requirements*.txt")}
    assert {ROOT / folder.lstrip("/") for folder in watched} == locks
    assert "github-actions" in [each["package-ecosystem"] for each in updates]


def test_pre_commit_has_the_versions_of_the_lock() -> None:
    lock = read("requirements-test.txt").split()
    (repository,) = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    pinned = [
        pin for hook in repository["hooks"] for pin in hook.get("additional_dependencies", ())
    ]
    assert pinned
    assert set(pinned) <= set(lock)
