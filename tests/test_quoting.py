"""Each file format reads back the very value that was written."""

import ast
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import DictLoader, Environment

from local_extensions.answers import Refused, check_text
from local_extensions.jinja import TemplateExtension
from local_extensions.localize import tag_texts, translate_tagged
from local_extensions.quoting import (
    comment,
    markdown_text,
    python_string,
    sh_word,
)


def is_good_text(value: str) -> bool:
    try:
        check_text(value)
    except Refused:
        return False
    return True


texts = st.text(min_size=1, max_size=80).filter(is_good_text)
tricky = st.text(st.sampled_from("'\"\\ `$é{}%#&;*_[]<>\n!|~-+.1"), min_size=1, max_size=20)


@given(texts | tricky.filter(is_good_text))
def test_python(value: str) -> None:
    assert ast.literal_eval(python_string(value)) == value


@given(texts | tricky)
def test_sh(value: str) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"printf %s {sh_word(value)}"], capture_output=True, check=True
    )
    assert done.stdout.decode() == value


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("L'Été à Paris", "L'Été à Paris"),
        ("zoe@example.com", "zoe@example.com"),
        ("a_b * [c](d) <e> `f` # g", r"a\_b \* \[c\](d) \<e\> \`f\` \# g"),
        ("- a", r"\- a"),
        ("1. a - b", r"1\. a - b"),
        ("&amp; | ~~x~~ \\", r"\&amp; \| \~\~x\~\~ \\"),
    ],
)
def test_markdown(value: str, written: str) -> None:
    assert markdown_text(value) == written


def test_comment() -> None:
    french = "Une phrase assez longue pour tenir sur deux lignes, que rien ne coupe avant : ceci."
    assert comment(french, ";") == (
        "; Une phrase assez longue pour tenir sur deux lignes, que rien ne coupe\n; avant : ceci."
    )


def test_texts_are_translated_where_they_stand() -> None:
    source = '    #: It works\nsay _sh("It works") _py("It works") # _("Forbidden")\n'
    tagged = tag_texts(source)
    assert translate_tagged(tagged, "en") == (
        "    # It works\nsay 'It works' \"It works\" # Forbidden\n"
    )
    assert translate_tagged(tagged, "fr") == (
        "    # Ça marche\nsay 'Ça marche' \"Ça marche\" # Accès interdit\n"
    )


def test_an_answer_that_looks_like_a_text_stays_as_it_is() -> None:
    environment = Environment(
        loader=DictLoader({"file": 'x = {{ cookiecutter.name | python }}  # _("It works")\n'}),
        extensions=[TemplateExtension],
        keep_trailing_newline=True,
    )
    for name in ('_("It works")', "#: It works", "_html('x')"):
        answers = {"name": name, "language": "fr"}
        rendered = environment.get_template("file").render(cookiecutter=answers)
        assert rendered == f"x = {python_string(name)}  # Ça marche\n"


def test_a_file_is_translated_and_an_answer_or_a_path_is_not() -> None:
    source = 'x = 1  # _("It works")\n{ }\n'
    environment = Environment(
        loader=DictLoader({"file": source, "page": '{% include "file" %}'}),
        extensions=[TemplateExtension],
        keep_trailing_newline=True,
    )
    answers = {"language": "fr"}
    for name in ("file", "page"):
        rendered = environment.get_template(name).render(cookiecutter=answers)
        assert rendered == "x = 1  # Ça marche\n{ }\n"
    assert environment.from_string(source).render(cookiecutter=answers) == source
