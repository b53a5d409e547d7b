"""A PostgreSQL of the comparison's own: Debian's programs, with the settings that they come with."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sites import SECONDS_TO_ANSWER, Shell

# Debian keeps the programs of each version apart, outside PATH.
DEBIAN = Path("/usr/lib/postgresql")


def program(name: str) -> str:
    """The newest version's."""
    versions = sorted(DEBIAN.glob("[0-9]*"), key=lambda path: int(path.name))
    found = shutil.which(name, path=f"{versions[-1]}/bin" if versions else None)
    return found or sys.exit(f"{name} is missing: sudo apt install postgresql")


def version() -> str:
    """PostgreSQL and its number."""
    said = subprocess.check_output((program("postgres"), "--version"), text=True)
    return f"PostgreSQL {said.split()[2]}"


@contextmanager
def server(shell: Shell) -> Iterator[int]:
    """Runs one, whose socket is in the shell's folder, and gives its pid: a child serves each connection.

    It ends once nobody is connected any more.
    """
    data = ("-D", shell.folder / "data")
    shell.run(program("initdb"), *data, "--auth=peer", "--encoding=UTF8", "--locale=C.UTF-8")
    options = ("-c", "listen_addresses=", "-c", f"unix_socket_directories={shell.folder}")
    ready = (program("pg_isready"), "--quiet", f"--host={shell.folder}")
    with shell.started(program("postgres"), *data, *options) as process:
        deadline = time.monotonic() + SECONDS_TO_ANSWER
        while subprocess.run(ready, check=False).returncode:
            if time.monotonic() > deadline or process.poll() is not None:
                shell.fail()
            time.sleep(0.05)
        yield process.pid
