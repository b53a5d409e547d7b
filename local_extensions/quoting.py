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


def nginx_word(value: str) -> str:
    """One parameter in nginx's configuration (ngx_conf_file.c, `ngx_conf_read_token`).

    Raises ValueError for `$`: nginx takes it for a variable and knows no way to escape it.
    """
    if "$" in value:
        raise ValueError(f"nginx cannot be given {value}")
    if re.fullmatch(r"[\w./:-]+", value, re.ASCII):
        return value
    return '"' + re.sub(r'([\\"])', r"\\\1", value) + '"'


def nginx_server_name(host: str) -> str:
    """A host in nginx's server_name; of more than 46 letters, written as a regular expression.

    nginx's table of names would need a larger server_names_hash_bucket_size, a setting that may
    stand once in all the files that the sites of a server share; regular expressions need none.
    """
    return host if len(host) <= 46 else "~^" + host.replace(".", r"\.") + "$"


def systemd_word(value: str) -> str:
    """One word of a command or list in a systemd unit (systemd.syntax(7), systemd.unit(5)).

    `%` opens a specifier. In a command `$` opens a variable too, and is written `$$` there alone.
    """
    value = value.replace("%", "%%")
    if re.fullmatch(r"[\w./:%-]+", value, re.ASCII):
        return value
    return '"' + re.sub(r'([\\"])', r"\\\1", value) + '"'


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
