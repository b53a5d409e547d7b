"""TCP ports of this machine."""

import random
import socket
from contextlib import suppress


def free_port() -> int:
    """A port that nothing listens on, below those that the system hands out (ip_local_port_range)."""
    while True:
        port = random.randrange(20000, 30000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
