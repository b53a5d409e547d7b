"""_("Notes which processes serve: RUNNING means only that they have lived a while.")"""

#: A process says so by sd_notify(3), a protocol of systemd's that gunicorn speaks by itself: it sends READY=1 to the socket that NOTIFY_SOCKET names. Linux only; elsewhere none is ever noted.

import os
import socket
import struct
import sys

from supervisor import events
from supervisor.options import make_namespec

CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: unix(7)


class Readiness:
    """_("A socket in supervisord's main loop, which calls the methods that have no comment.")"""

    def __init__(self, supervisord):
        self.supervisord = supervisord
        #: Those that are ready since their last start, as group:process.
        self.processes = set()
        if sys.platform == "linux":
            self.open()

    def open(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        #: The kernel tells who sent a message: nobody can speak for another process.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        #: An empty name makes the kernel choose one that is free, and is no file.
        self.socket.bind("")
        name = self.socket.getsockname().decode()
        os.environ["NOTIFY_SOCKET"] = name.replace("\0", "@")
        self.supervisord.options.get_socket_map()[self.socket.fileno()] = self
        events.subscribe(events.ProcessStateStartingEvent, self.forget)
        events.subscribe(events.SupervisorStoppingEvent, self.close)

    def close(self, event):
        """_("supervisord ends, or begins anew (supervisorctl reload).")"""
        del self.supervisord.options.get_socket_map()[self.socket.fileno()]
        self.socket.close()

    def forget(self, event):
        """_("A process starts: it is not ready yet.")"""
        self.processes.discard(full_name(event.process))

    def readable(self):
        return True

    def writable(self):
        return False

    def handle_read_event(self):
        message, ancillary, _, _ = self.socket.recvmsg(
            4096, socket.CMSG_SPACE(CREDENTIALS.size)
        )
        [(_, _, credentials)] = ancillary
        sender, _, _ = CREDENTIALS.unpack(credentials)
        process = self.supervisord.options.pidhistory.get(sender)
        if process and b"READY=1" in message.splitlines():
            self.processes.add(full_name(process))

    def handle_error(self):
        self.supervisord.options.logger.error(f"NOTIFY_SOCKET: {sys.exc_info()[1]}")


def full_name(process):
    """_("group:process, as supervisorctl writes it.")"""
    return make_namespec(process.group.config.name, process.config.name)
