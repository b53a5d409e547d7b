"""Waiting for what happens a moment later."""

import subprocess
import time
from collections.abc import Callable
from typing import Any


def eventually(condition: Callable[[], Any], seconds: float = 10) -> Any:
    """What the condition gives as soon as it is true; the test fails if it stays false."""
    begin = time.monotonic()
    while not (value := condition()):
        waited = time.monotonic() - begin
        assert waited < seconds, f"not within {seconds} s: {condition}"
        # Who has waited for long asks less often: each question takes a processor's time.
        time.sleep(min(0.05 + waited / 20, 0.25))
    return value


def said_until(process: subprocess.Popen[str], text: str) -> str:
    """What the process says until it says this text, or all of it."""
    assert process.stdout
    said = ""
    while text not in said and (character := process.stdout.read(1)):
        said += character
    return said
