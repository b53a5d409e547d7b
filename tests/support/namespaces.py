"""Mounts that nobody but a command sees."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .commands import require


@contextmanager
def namespace(folder: Path, script: str, *arguments: str) -> Iterator[tuple[str, ...]]:
    """The words that run a command in this folder, among the mounts that the script has made.

    Nobody else sees these mounts; they are gone with the last process among them.
    """
    command = f"{script}\necho mounted\nexec cat"
    with subprocess.Popen(
        [require("unshare"), "--mount", "sh", "-euc", command, "sh", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"mounted\n"
        yield (require("nsenter"), f"--mount=/proc/{holder.pid}/ns/mnt", "env", f"--chdir={folder}")
