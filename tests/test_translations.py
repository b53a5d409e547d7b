"""Every short text in both languages, each written by its own rules."""

import ast
import json
import re
import string
from collections.abc import Callable, Iterator

import pytest
from support.documents import faults
from support.project import Project
from support.template import ROOT

from local_extensions import localize
from local_extensions.french import FRENCH
from local_extensions.translations import (
    NARROW_NO_BREAK_SPACE,
    NO_BREAK_SPACE,
    french_typography,
    printable,
    translate,
)


def texts_of_templates() -> Iterator[str]:
    """What the questions, the default answers and the generated files say."""
    questions = (ROOT / "cookiecutter.json").read_text(encoding="utf-8")
    yield from re.findall(r"_\('(.*?)'\)", questions)
    for name, prompt in json.loads(questions)["__prompts__"].items():
        if name == "language":  # whose labels are the languages' own names
            yield prompt["__prompt__"]
        else:
            yield from prompt.values() if isinstance(prompt, dict) else [prompt]
    for file in ROOT.glob("{{*}}/**/*"):
        if file.is_file():
            yield from localize.texts(file.read_text(encoding="utf-8"))


def texts_of_modules() -> Iterator[str]:
    """What our Python gives to `gettext_noop()` and `translate()`."""
    for file in (*ROOT.glob("local_extensions/*.py"), *ROOT.glob("script/*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Name(id="gettext_noop" | "translate"),
                    args=[ast.Constant(value=str(text)), *_],
                ):
                    yield text


def test_the_catalogue_has_every_text_and_no_other() -> None:
    assert {*texts_of_templates(), *texts_of_modules()} == set(FRENCH)


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_translations_keep_the_places_for_values() -> None:
    def keeps(english: str, french: str) -> bool:
        if re.findall(r"%s", french) != re.findall(r"%s", english):
            return False
        # What stands in braces there is no place for a value.
        if any(part in english for part in ("%(here)s", "{start|", "{(table, column)")):
            return True
        return fields(french) == fields(english)

    assert [english for english, french in FRENCH.items() if not keeps(english, french)] == []


@pytest.mark.parametrize(
    ("fault", "what_belongs_there"),
    [
        (r"[^\s][;!?»]", "a space before it"),
        (r"[^\s\d]:(?=\s|$)", "a space before the colon"),
        (r"«(?! )", "a space after it"),
    ],
)
def test_french_is_written_with_french_spaces(fault: str, what_belongs_there: str) -> None:
    code = r"\S*[/.]\S+|\[[^]]*\]|https?:\S*|'all:\S*"
    wrong = [french for french in FRENCH.values() if re.search(fault, re.sub(code, "", french))]
    assert wrong == [], what_belongs_there


def test_french_is_typed_with_ordinary_apostrophes() -> None:
    """Typography sets the other."""
    assert [french for french in FRENCH.values() if "’" in french] == []


def test_typography() -> None:
    typed = "L'été : « déjà » ; vraiment ? Oui !"
    assert french_typography(typed) == (
        "L’été\u00a0: «\u00a0déjà\u00a0»\u202f; vraiment\u202f? Oui\u202f!"
    )


def test_french_pages_have_french_typography_and_code_has_none(
    bake: Callable[..., Project],
) -> None:
    """Comments are code here: they are typed on an ordinary keyboard."""
    project = bake(language="fr", author_name="Zoé", description="Un site", project_name="Site")
    files = [path for path in project.path.rglob("*") if path.is_file() and path.suffix != ".md"]
    pages = [path for path in files if path.suffix == ".html"]
    assert len(pages) > 5
    for path in files:
        text = path.read_text(encoding="utf-8")
        if path in pages:
            prose = re.split(r"<code>.*?</code>|<[^>]*>|{%.*?%}|{{.*?}}", text)
            assert [faults(piece) for piece in prose if faults(piece)] == [], path
        else:
            assert not re.search(f"[{NARROW_NO_BREAK_SPACE}{NO_BREAK_SPACE}’]", text), path


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", "L’œuvre\u202f!"),
        ("latin-1", "L'oeuvre !"),
        ("ascii", "L'oeuvre !"),
        ("cp1252", "L’œuvre !"),
    ],
)
def test_every_terminal_can_show_french(encoding: str, shown: str) -> None:
    assert printable("L’œuvre\u202f!", encoding) == shown


def test_what_is_neither_french_nor_english_gets_english() -> None:
    assert translate("It works", "de") == "It works"
