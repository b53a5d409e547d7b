"""The template's own documents, and what GitHub and pre-commit read."""

import itertools
import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from conftest import LANGUAGES, ROOT
from markdown_it import MarkdownIt
from markdown_it.token import Token
from pytest_cookies.plugin import Result

from local_extensions.translations import NARROW_NO_BREAK_SPACE, NO_BREAK_SPACE, keyboard

READMES = {"en": "README.md", "fr": "README.fr.md"}
DOCUMENTS = sorted(path.name for path in ROOT.glob("*.md"))
PICTURES = sorted(path.name for path in (ROOT / "docs").glob("*.svg"))
# The documents lead nowhere else.
HOSTS = {
    "cookiecutter.readthedocs.io",
    "cookiecutter-django.readthedocs.io",
    "docs.astral.sh",
    "github.com",
    "keepachangelog.com",
    "uwsgi-docs.readthedocs.io",
}
WORKFLOW = ".github/workflows/ci.yml"


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def tokens(document: str) -> list[Token]:
    return MarkdownIt().enable("table").parse(read(document))


def inline(document: str) -> Iterator[Token]:
    """Words, pieces of code, links and pictures with their descriptions, in their order."""
    for block in tokens(document):
        for token in block.children or ():
            yield token
            yield from token.children or ()


def links(document: str) -> list[str]:
    """Where links and pictures lead."""
    found = (token.attrs.get("href") or token.attrs.get("src") for token in inline(document))
    return [str(each) for each in found if each]


def headings(document: str) -> list[tuple[str, str]]:
    """Level and text of each heading."""
    every = tokens(document)
    return [
        (token.tag, text.content)
        for token, text in itertools.pairwise(every)
        if token.type == "heading_open"
    ]


def commands(document: str) -> list[list[str]]:
    """The lines of each code block, without their comments."""
    blocks = (token.content for token in tokens(document) if token.type == "fence")
    return [[line.partition(" #")[0].rstrip() for line in block.splitlines()] for block in blocks]


def table(document: str) -> dict[str, str]:
    """The first column's piece of code → the second's, in tables whose first column is code."""
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)`", read(document), re.MULTILINE)
    return dict(rows)


def test_the_readmes_have_the_same_parts() -> None:
    english, french = READMES["en"], READMES["fr"]
    assert [level for level, _ in headings(french)] == [level for level, _ in headings(english)]
    assert [
        [line.replace("mon_site", "my_site") for line in block] for block in commands(french)
    ] == (commands(english))
    assert links(english)[0] == french
    assert links(french)[0] == english
    assert [link.replace(".fr.", ".en.") for link in links(french)[1:]] == links(english)[1:]


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
    for link in links(document):
        address = urlsplit(link)
        if address.hostname == "127.0.0.1":
            continue
        if address.scheme:
            assert (address.scheme, address.hostname) in {("https", host) for host in HOSTS}
            continue
        target = address.path or document
        assert (ROOT / target).is_file(), link
        if address.fragment:
            titles = [re.sub(r"[^\w -]", "", text.lower()) for _, text in headings(target)]
            assert address.fragment in [title.replace(" ", "-") for title in titles], link


@pytest.mark.parametrize("name", [*DOCUMENTS, *(f"docs/{name}" for name in PICTURES)])
def test_no_document_tells_of_one_machine(name: str) -> None:
    assert not re.search(r"/(?:home|tmp|work|Users)/\w", read(name))


def test_the_french_readme_has_french_typography() -> None:
    pairs = itertools.pairwise(inline(READMES["fr"]))
    prose = [
        token.content
        for before, token in pairs
        if token.type == "text" and (before.type, before.markup) != ("link_open", "autolink")
    ]
    assert any(NO_BREAK_SPACE + ":" in text for text in prose)
    for text in prose:
        wrong = (
            rf"(?<!{NARROW_NO_BREAK_SPACE})[;!?]|(?<!{NO_BREAK_SPACE})[:»]|«(?!{NO_BREAK_SPACE})|'"
        )
        assert not re.search(wrong, text), text


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
    locks = {path.parent for path in ROOT.glob("*/requirements*.txt")} | {ROOT}
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
