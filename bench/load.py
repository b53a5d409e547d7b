"""Visitors: clients that ask a site for pages all the time, and note what happens to them.

Half of the clients open a connection for each request, half keep theirs. A server may close a kept
connection at any moment, also while the next request is on its way; a client may then send a request
like GET again on a new connection (RFC 9112, 9.3.1), and browsers do. So do these, once.
"""

import http.client
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

CLIENTS = 16
# Seconds until a client whose request failed asks again: a refusal costs nothing, and would be
# counted thousands of times a second.
AFTER_FAILURE = 0.1


@dataclass
class Visits:
    """What happened to the requests."""

    # "200", "refused", "lost" (no response), "cut", "timed out", or another status → how often.
    results: Counter[str] = field(default_factory=Counter)
    # When each 200 had arrived, and how long the request had taken.
    arrivals: list[float] = field(default_factory=list)
    durations: list[float] = field(default_factory=list)
    # When the clients began and stopped.
    begin: float = field(default_factory=time.monotonic)
    end: float = 0

    @property
    def requests(self) -> int:
        return self.results.total()

    @property
    def failures(self) -> dict[str, int]:
        """The kinds of failure and their numbers; empty where every request got its 200."""
        return {kind: number for kind, number in self.results.items() if kind != "200"}

    @property
    def pause(self) -> float:
        """The longest time, in seconds, in which nobody got a 200."""
        times = [self.begin, *sorted(self.arrivals), self.end]
        return max(after - before for before, after in itertools.pairwise(times))

    def __str__(self) -> str:
        longest = max(self.durations, default=0)
        return (
            f"{self.requests} requests, failed: {self.failures or 'none'},"
            f" pause {self.pause * 1000:.0f} ms, longest request {longest * 1000:.0f} ms"
        )


@contextmanager
def visitors(
    port: int,
    path: str = "/healthz",
    timeout: float = 60,
    rest: float | Callable[[], float] = 0,
    clients: int = CLIENTS,
    host: str = "127.0.0.1",
) -> Iterator[Visits]:
    """Lets the clients ask this host's site during the `with` block, and a second before and after it.

    Each rests so many seconds between two requests, or as many as the function then gives; without,
    they take all that the machine has.
    """
    visits = Visits()
    lock = threading.Lock()
    stop = threading.Event()

    def connect() -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

    def visit(keep: bool) -> None:
        connection = connect()
        while not stop.is_set():
            start = time.monotonic()
            kept = connection.sock is not None
            result = request(connection, path, host)
            if kept and result == "lost":
                connection = connect()
                result = request(connection, path, host)
            end = time.monotonic()
            with lock:
                visits.results[result] += 1
                if result == "200":
                    visits.arrivals.append(end)
                    visits.durations.append(end - start)
            if not keep or result != "200":
                connection.close()
                connection = connect()
            pause = rest() if callable(rest) else rest
            time.sleep(pause if result == "200" else max(pause, AFTER_FAILURE))
        connection.close()

    threads = [threading.Thread(target=visit, args=(n % 2 == 0,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    try:
        yield visits
        time.sleep(1)
    finally:
        visits.end = time.monotonic()
        stop.set()
        for thread in threads:
            thread.join()
    print(visits)


def request(connection: http.client.HTTPConnection, path: str, host: str) -> str:
    """Asks for a page, and tells what came of it."""
    try:
        connection.request("GET", path, headers={"Host": host})
        response = connection.getresponse()
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "timed out"
    except (http.client.HTTPException, OSError):
        return "lost"
    try:
        response.read()
    except (http.client.HTTPException, OSError):
        return "cut"
    return str(response.status)
