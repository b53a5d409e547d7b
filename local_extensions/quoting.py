"""A value as each file format writes it."""

import re
import shlex
import textwrap

import idna

from .translations import french_typography, keyboard

COMMENT_WIDTH = 76


def python_string(value: str) -> str:
    """A Python string literal with the quotes that `ruff format` would choose.

    Source: the Python Language Reference, 2.4.1. `value` is printable (the rules see to it).
    """
    quote = "'" if value.count('"') > value.count("'") else '"'
    return quote + value.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote


def sh_word(value: str) -> str:
    """One word of the POSIX shell, in the quotes that read best (XCU 2.2.2 and 2.2.3)."""
    if "'" in value and not re.search(r'["$`\\]', value):
        return f'"{value}"'
    return shlex.quote(value)


def idna_host(value: str) -> str:
    """A host name as DNS and HTTP write it: xn--... where it has accents (UTS 46, RFC 5891).

    Raises idna.IDNAError for what cannot be one.
    """
    return idna.encode(value, uts46=True).decode("ascii")


def markdown_text(value: str) -> str:
    """A line that Markdown shows as it is (CommonMark 2.4, backslash escapes).

    What means something anywhere is escaped, and what would begin a list or underline a heading.
    """
    escaped = re.sub(r"([\\`*_\[\]<>&~|#])", r"\\\1", value)
    return re.sub(r"^(\d*)(?=[-+=.)])", r"\1\\", escaped)


def comment(text: str, sign: str = "#") -> str:
    """`text` as comment lines, each beginning with `sign`; no line begins with a French colon."""
    width = COMMENT_WIDTH - len(sign) - 1
    lines = [text]
    if len(text) > width:
        lines = textwrap.wrap(french_typography(text), width, break_on_hyphens=False)
    return "\n".join(f"{sign} {keyboard(line)}" for line in lines)
