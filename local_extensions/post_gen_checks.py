"""What hooks/post_gen_project.py checks after the last file: the answers and the folder on this machine.

What only a mistake in the template could break is the tests' work.
"""

import configparser
import os
import sys
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from .translations import gettext_noop, printable, translate

CONFIG = Path("deploy", "supervisord.conf")
# sun_path, less the ".PID" that supervisord adds while it binds: unix(7), and 4.4BSD's on macOS.
SOCKET_PATH_BYTES = (104 if sys.platform == "darwin" else 108) - 1 - len(".4194304")


class Unusable(Exception):
    """The project cannot work here. `text` is an English text of the catalogue."""

    def __init__(self, text: str, **details: object) -> None:
        super().__init__(text)
        self.text = text
        self.details = details


def validate(language: str, taken: Iterable[str]) -> int:
    """Checks the project in the current folder; says what is wrong on stderr, returns the exit code.

    0: it works here, once what a warning tells is mended: addresses that are `taken` at the moment.
    1: it cannot work here.
    """

    def say(text: str, **details: object) -> None:
        message = translate(text, language).format(**details)
        print(printable(message, sys.stderr.encoding), file=sys.stderr)

    try:
        check_characters(str(Path.cwd()))
        check_socket_path(socket_path())
        check_line_endings()
    except Unusable as unusable:
        say(unusable.text, **unusable.details)
        return 1
    for address in taken:
        say(
            gettext_noop("Warning: something already listens on {address} of this machine."),
            address=address,
        )
    let_scripts_run()
    return 0


def check_characters(folder: str) -> None:
    """Raises Unusable where a character of the folder's path keeps supervisord from its work.

    In supervisord.conf the path stands for %(here)s: there `%` opens a value to fill in, `"` ends
    the quotes of the command, and `[` makes the included file a pattern. The venv's scripts have
    the path in their first line (#!), which holds no control character (Cc), and uv makes no venv
    below a path that is not UTF-8 (Cs).
    """
    for character in folder:
        if character in '%"[' or unicodedata.category(character) in ("Cc", "Cs"):
            raise Unusable(
                gettext_noop(
                    "supervisord cannot work below {folder}, for the character {character}:"
                    " generate the project in a folder whose path is without it."
                ),
                folder=folder,
                character=ascii(character),
            )


def socket_path() -> Path:
    """Where supervisord.conf has its UNIX socket."""
    parser = configparser.RawConfigParser()
    parser.read(CONFIG, encoding="utf-8")
    path = parser["unix_http_server"]["file"].replace("%(here)s", str(CONFIG.parent))
    return Path(os.path.normpath(Path.cwd() / path))


def check_socket_path(path: Path) -> None:
    """Raises Unusable where the UNIX socket's path is longer than the system takes."""
    length = len(os.fsencode(path))
    if length > SOCKET_PATH_BYTES:
        raise Unusable(
            gettext_noop(
                "The UNIX socket {path} would have {length} bytes and the system takes {limit}:"
                " generate the project in a folder with a shorter path."
            ),
            path=path,
            length=length,
            limit=SOCKET_PATH_BYTES,
        )


def check_line_endings() -> None:
    """Raises Unusable where the template has the line endings of Windows: Jinja keeps them."""
    for path in Path().rglob("*.sh"):
        if b"\r" in path.read_bytes():
            raise Unusable(
                gettext_noop(
                    "The template has the line endings of Windows (CRLF), and no shell runs such"
                    " scripts: git config --global core.autocrlf input, then clone it again."
                )
            )


def let_scripts_run() -> None:
    """Gives whoever may read it the right to run what begins with #!: a template from a zip lost it."""
    for path in Path().rglob("*"):
        if path.is_file() and path.read_bytes().startswith(b"#!"):
            mode = path.stat().st_mode
            path.chmod(mode | (mode & 0o444) >> 2)
