"""Texts in the generated files, in the language answered.

A file of the template holds its texts in English, in place, so that it reads like what it becomes:

- a comment line that begins with `#:` or `;:` is translated, and wrapped as comment lines;
- `_("...")` stands for the text itself, `_sh("...")` for a word of the shell, `_py("...")` for a
  Python string, `_html("...")` for prose of a page.

Before Jinja parses a file, `tag_texts` puts its texts between characters that no answer may
contain; once the file is rendered, `translate_tagged` translates them. So an answer that looks like
one of the above stays what it is. (Each text as an expression of Jinja's would do as well, and take
five times as long to compile.)
"""

import re

from markupsafe import escape

from .quoting import comment, python_string, sh_word
from .translations import french_typography, translate

# Two patterns, each led by what is rare in a file, are found three times as fast as one of both.
COMMENT = re.compile(r"^([ \t]*)([#;]): (.+)$", re.MULTILINE)
STRING = re.compile(r'_(?<!\w_)(sh|py|html|)\("((?:[^"\\]|\\.)+)"\)')
START, MIDDLE, END = "\x02", "\x03", "\x04"
TAGGED = re.compile(f"{START}(.*?){MIDDLE}(.*?){END}")


def texts(source: str) -> list[str]:
    """The English texts of a template file, in order."""
    return [text for _, text in TAGGED.findall(tag_texts(source))]


def tag_texts(source: str) -> str:
    """A template file with each text as START kind MIDDLE text END."""

    def tag(string: re.Match[str]) -> str:
        text = re.sub(r"\\(.)", r"\1", string[2])
        return f"{START}{string[1]}{MIDDLE}{text}{END}"

    return STRING.sub(tag, COMMENT.sub(rf"\1{START}\2\1{MIDDLE}\3{END}", source))


def translate_tagged(rendered: str, language: str) -> str:
    """A rendered file with each tagged text in `language`, quoted as its kind wants."""

    def write(found: re.Match[str]) -> str:
        kind, text = found[1], translate(found[2], language)
        match kind:
            case "":
                return text
            case "sh":
                return sh_word(text)
            case "py":
                return python_string(text)
            case "html":
                return str(escape(french_typography(text) if language == "fr" else text))
            case _:
                sign, indent = kind[0], kind[1:]
                return comment(text, sign).replace("\n", f"\n{indent}")

    return TAGGED.sub(write, rendered)
