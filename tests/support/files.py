"""Files that are not there for a while, or no longer."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def moved(file: Path) -> Iterator[Path]:
    """The file or folder under another name, for a while."""
    away = file.rename(file.with_suffix(".moved"))
    try:
        yield away
    finally:
        away.replace(file)


def read_if_there(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
