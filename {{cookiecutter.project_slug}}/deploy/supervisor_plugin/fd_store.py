"""_("Has systemd hold the listening sockets while supervisord itself restarts: visitors wait.")"""

#: They lie in the service's file descriptor store, and systemd hands them to the next supervisord: sd_notify(3), sd_listen_fds(3). Where it does not run the site, none of this does anything.

import atexit
import os
import socket

from supervisor.datatypes import InetStreamSocketConfig

from .systemd import NOTIFY_SOCKET, notify

FIRST_DESCRIPTOR = 3


def take_over():
    """_("The sockets that systemd hands over, by address. gunicorn must not see their variables.")"""
    names = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
    pid, number, _ = (os.environ.pop(name, "0") for name in names)
    end = FIRST_DESCRIPTOR + (int(number) if pid == str(os.getpid()) else 0)
    sockets = [socket.socket(fileno=each) for each in range(FIRST_DESCRIPTOR, end)]
    return {each.getsockname(): each for each in sockets}


def adopt_or_bind(config):
    """_("Makes the socket of a group, instead of supervisord's own method. Twice at the start: supervisord closes the first at once.")"""
    address = (socket.gethostbyname(config.host), config.port)
    if address in handed_over:
        adopted[address] = handed_over.pop(address)
    if address in adopted:
        return adopted[address].dup()
    #: One of them may be in the way: 0.0.0.0 has all addresses of its port.
    shut_down_the_rest()
    return bind(config)


def shut_down_the_rest():
    while handed_over:
        shut_down(handed_over.popitem()[1])


def shut_down(held):
    """_("systemd drops a socket that is shut down. By itself, one closes with its last process.")"""
    if NOTIFY_SOCKET:
        held.shutdown(socket.SHUT_RDWR)


def store(held):
    """_("One that systemd has already is not stored twice.")"""
    if held.family == socket.AF_INET:
        notify("FDSTORE=1\nFDNAME=site", held.fileno())


def forget_all():
    notify("FDSTOREREMOVE=1\nFDNAME=site")


def note_running(event):
    """_("supervisord has all that it needs. From now on, systemd holds on whatever ends it.")"""
    shut_down_the_rest()
    adopted.clear()
    atexit.unregister(forget_all)


#: A supervisord that cannot start must not make visitors wait for it.
atexit.register(forget_all)
#: It makes its groups before it calls a plugin: this must stand ready.
handed_over, adopted = take_over(), {}
bind = InetStreamSocketConfig.create_and_bind
InetStreamSocketConfig.create_and_bind = adopt_or_bind
