"""Each file format reads back the very value that was written."""

import ast
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_extensions.answers import Refused, check_text
from local_extensions.quoting import comment, markdown_text, python_string, sh_word


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
