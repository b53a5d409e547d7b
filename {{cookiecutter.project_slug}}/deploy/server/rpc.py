"""_("Speaks with supervisord: its commands, through its socket. supervisor's own code for that takes half as much memory again.")"""

import socket
from http.client import HTTPConnection
from xmlrpc.client import ServerProxy, Transport

#: supervisord may take this long to answer.
ANSWER_SECONDS = 20


class UnixTransport(Transport):
    """_("xmlrpc.client by the socket of this path.")"""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def make_connection(self, host):
        connection = HTTPConnection(host)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(ANSWER_SECONDS)
        connection.sock.connect(str(self.path))
        return connection


def supervisor(var):
    """_("The commands of the supervisord whose socket is in this folder.")"""
    return ServerProxy("http://localhost", UnixTransport(var / "ctl.sock")).supervisor


def name(program):
    return f"{program['group']}:{program['name']}"
