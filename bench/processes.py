"""What processes use, from /proc: those of a session, which is all that a supervisord started.

A PostgreSQL's processes begin sessions of their own, and are the children of its first one.
"""

import os
import signal
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Process:
    """A process at the moment it was looked at."""

    pid: int
    parent: int
    # Its own seconds on a processor, and those of its children that have ended.
    cpu_seconds: float


def of_sessions(sessions: Collection[int]) -> list[Process]:
    """The processes of these sessions, which have the number of the one that began it; and its children."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            # The name, in brackets, may hold anything; the fields after it begin with the third.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            state, parent, session, times = fields[0], fields[1], fields[3], fields[11:15]
            if not {int(session), int(parent)}.isdisjoint(sessions) and state != "Z":
                ticks = sum(map(int, times))
                found.append(Process(int(folder.name), int(parent), ticks / TICKS))
    return found


def cpu_seconds(sessions: Collection[int]) -> float:
    """The seconds on a processor of all that these sessions ever ran."""
    return sum(process.cpu_seconds for process in of_sessions(sessions))


def memory(sessions: Collection[int]) -> float:
    """Of all their processes, in MiB."""
    return pss([process.pid for process in of_sessions(sessions)])


def pss(pids: Collection[int]) -> float:
    """In MiB: what they share with each other or with others counts by shares."""
    kilobytes = 0
    for pid in pids:
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            kilobytes += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kilobytes / 1024


def kill(process: Process) -> None:
    """kill -9, if it is still there."""
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)


def kill_all(sessions: Collection[int]) -> None:
    """kill -9 until none is left: while they are looked for, they may start others."""
    while processes := of_sessions(sessions):
        for process in processes:
            kill(process)
