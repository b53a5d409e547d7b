"""What a measurement shows while it lasts, and what it leaves behind: nothing."""

import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path


def in_temporary_folder(measure: Callable[[Path], None]) -> None:
    """Measures in a temporary folder, which goes however this ends; a dot is a second."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=dots, daemon=True).start()
    # A UNIX socket's path has 107 bytes at most: the folder's is short.
    try:
        with tempfile.TemporaryDirectory(prefix="bench") as work:
            measure(Path(work).resolve())
    except KeyboardInterrupt:
        sys.exit(130)


def note(text: str) -> None:
    """A line on standard error, after the dots of what it tells of."""
    print(f" {text}", file=sys.stderr, flush=True)


def dots() -> None:
    """A dot each second, for ever."""
    while True:
        time.sleep(1)
        os.write(2, b".")
