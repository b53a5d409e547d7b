"""What the answers gave on this machine: the checks after the last file is written."""

import errno
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from configparser import RawConfigParser
from pathlib import Path

from . import supervisor_config
from .answers import split_address
from .translations import mark, printable, translate

# sun_path, less the ".PID" that supervisord adds while it binds: unix(7), and 4.4BSD's on macOS.
SOCKET_PATH_BYTES = (104 if sys.platform == "darwin" else 108) - 1 - len(".4194304")


def validate(project: Path, language: str) -> int:
    """Checks a freshly generated project, says what is wrong on stderr and returns the exit code.

    0: it works here, though a port may be taken at the moment (said, not refused). 1: it cannot.
    """

    def say(text: str, **details: object) -> None:
        message = translate(text, language).format(**details)
        print(printable(message, sys.stderr.encoding), file=sys.stderr)

    config = project / "deploy" / "supervisord.conf"
    try:
        parser = supervisor_config.read(config)
        for script in _scripts(project):
            _check_syntax(script)
        for source in project.rglob("*.py"):
            compile(source.read_bytes(), source.relative_to(project), "exec")
    except supervisor_config.WrongConfig as wrong:
        say(wrong.text, **wrong.details)
        return 1
    except SyntaxError as error:
        say(mark("{file} cannot be run: {error}"), file=error.filename, error=error)
        return 1

    unix_socket = _path(parser.get("unix_http_server", "file"), config.parent)
    length = len(bytes(unix_socket))
    if length > SOCKET_PATH_BYTES:
        say(
            mark(
                "The UNIX socket {path} would have {length} bytes and the system takes {limit}:"
                " generate the project in a folder with a shorter path."
            ),
            path=unix_socket,
            length=length,
            limit=SOCKET_PATH_BYTES,
        )
        return 1
    for address in _addresses(parser):
        if is_taken(address):
            say(
                mark("Warning: something already listens on {address} of this machine."),
                address=address,
            )
    return 0


def _scripts(project: Path) -> Iterator[Path]:
    """The project's shell scripts."""
    for path in project.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                if file.read(9) == b"#!/bin/sh":
                    yield path


def _check_syntax(script: Path) -> None:
    """Raises SyntaxError for a script that /bin/sh cannot parse."""
    if sysconfig.get_platform().startswith("win"):
        return
    done = subprocess.run(["/bin/sh", "-n", script], check=False, capture_output=True, text=True)
    if done.returncode:
        raise SyntaxError(done.stderr.strip(), (script.name, None, None, None))


def _path(value: str, here: Path) -> Path:
    """A path of the config: `%(here)s` is the config's folder."""
    return Path(value.replace("%(here)s", str(here))).resolve()


def _addresses(parser: RawConfigParser) -> Iterator[str]:
    """Where the programs and the web interface will listen, as host:port."""
    for section in parser.sections():
        if section.startswith("fcgi-program:"):
            yield parser.get(section, "socket").removeprefix("tcp://")
        elif section == "inet_http_server":
            yield parser.get(section, "port")


def is_taken(address: str) -> bool:
    """Whether another program holds this address and port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(split_address(address))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False
