"""_("What supervisord says to systemd, where that runs the site: sd_notify(3), sd-daemon(3).")"""

import os
import socket
import sys
from contextlib import suppress

#: Taken now: readiness.py puts another in its place, for gunicorn.
NOTIFY_SOCKET = os.environ.pop("NOTIFY_SOCKET", "")


def notify(text, *descriptors):
    """_("Lines as NAME=value, and sockets to hold.")"""
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.connect(NOTIFY_SOCKET.replace("@", "\0", 1))
        socket.send_fds(systemd, [text.encode()], descriptors)


def log_error(text):
    """_("Into the journal.")"""
    if NOTIFY_SOCKET:
        print(f"<3>{text}", file=sys.stderr, flush=True)
