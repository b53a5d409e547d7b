"""The addresses at which a site listens."""

import errno
import socket
from collections.abc import Mapping


def split_address(value: str) -> tuple[str, int]:
    """`"localhost:8000"` as `("127.0.0.1", 8000)`. Supervisor's sockets are IPv4 only (AF_INET)."""
    host, _, port = value.rpartition(":")
    return ("127.0.0.1" if host == "localhost" else host), int(port)


def is_taken(address: str) -> bool:
    """Whether another program listens on this address and port of this machine now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(split_address(address))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def taken_addresses(answers: Mapping[str, str]) -> list[str]:
    """Those of a site's addresses that another program listens on."""
    addresses = (answers["bind"], answers["web_interface"])
    return [address for address in addresses if address != "off" and is_taken(address)]
