"""_("Asks programs that run: whether they listen, and what their pages say.")"""

import http.client
import socket


def listens(path):
    """_("Whether a program is at the other end of a UNIX socket.")"""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def ask(address, path, host):
    """_("Gets the status and the text of a page, by a new connection, as a proxy would. OSError: there is no answer.")"""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    connection = http.client.HTTPConnection(host)
    with socket.socket(family) as connection.sock:
        connection.sock.settimeout(30)
        #: To this machine alone the site says which release answers.
        if family == socket.AF_INET:
            connection.sock.bind(("127.0.0.1", 0))
        connection.sock.connect(address)
        connection.request("GET", path, headers={"X-Forwarded-Proto": "https"})
        try:
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        except http.client.HTTPException as error:
            raise OSError(f"{path}: {error!r}") from error
