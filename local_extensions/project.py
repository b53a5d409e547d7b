"""What the answers gave on this machine: the checks after the last file is written.

The user waits for these, in a Python of their own: nothing here imports what it can do without.
"""

import os
import sys
from collections.abc import Iterable, Iterator

from . import supervisor_config
from .translations import mark, printable, translate

# sun_path, less the ".PID" that supervisord adds while it binds: unix(7), and 4.4BSD's on macOS.
SOCKET_PATH_BYTES = (104 if sys.platform == "darwin" else 108) - 1 - len(".4194304")
CONFIG = os.path.join("deploy", "supervisord.conf")


class Broken(Exception):
    """The project cannot work here. `text` is an English text of the catalogue."""

    def __init__(self, text: str, **details: object) -> None:
        super().__init__(text)
        self.text = text
        self.details = details


def validate(language: str, taken: Iterable[str]) -> int:
    """Checks the project in the current folder; says what is wrong on stderr, returns the exit code.

    0: it works here; that an address is `taken` at the moment is only said. 1: it cannot work.
    """

    def say(text: str, **details: object) -> None:
        message = translate(text, language).format(**details)
        print(printable(message, sys.stderr.encoding), file=sys.stderr)

    try:
        parser = supervisor_config.read(CONFIG)
        check_socket_path(parser.get("unix_http_server", "file"))
        for path in files():
            check_syntax(path)
    except (Broken, supervisor_config.WrongConfig) as broken:
        say(broken.text, **broken.details)
        return 1
    for address in taken:
        say(
            mark("Warning: something already listens on {address} of this machine."),
            address=address,
        )
    return 0


def files() -> Iterator[str]:
    """Every file below the current folder."""
    for folder, _, names in os.walk("."):
        for name in names:
            yield os.path.join(folder, name)


def check_syntax(path: str) -> None:
    """Raises Broken for a Python file or a shell script that cannot be parsed."""
    with open(path, "rb") as file:
        source = file.read()
    if path.endswith(".py"):
        try:
            compile(source, path, "exec")
        except SyntaxError as error:
            raise Broken(mark("{file} cannot be run: {error}"), file=path, error=error) from error
    elif source.startswith(b"#!/bin/sh") and os.name == "posix":
        # The shell itself says on stderr what it does not understand.
        shell = os.posix_spawn("/bin/sh", ("sh", "-n", path), os.environ)
        if code := os.waitstatus_to_exitcode(os.waitpid(shell, 0)[1]):
            raise Broken(mark("{file} cannot be run: {error}"), file=path, error=f"sh -n: {code}")


def check_socket_path(value: str) -> None:
    """Raises Broken where the UNIX socket's path is longer than the system takes."""
    path = os.path.abspath(value.replace("%(here)s", os.path.dirname(CONFIG)))
    length = len(os.fsencode(path))
    if length > SOCKET_PATH_BYTES:
        raise Broken(
            mark(
                "The UNIX socket {path} would have {length} bytes and the system takes {limit}:"
                " generate the project in a folder with a shorter path."
            ),
            path=path,
            length=length,
            limit=SOCKET_PATH_BYTES,
        )
