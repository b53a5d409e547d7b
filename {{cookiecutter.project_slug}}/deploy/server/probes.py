"""_("Asks programs that run: whether they listen, and what their pages say.")"""

import http.client
import socket
import ssl
from contextlib import closing


def listens(path):
    """_("Whether a program is at the other end of a UNIX socket.")"""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def ask(address, path, host, proto="https", tls=False):
    """_("Gets the status and the text of a page, by a new connection, as a proxy would; by TLS, as a visitor who takes any certificate. OSError: there is no answer.")"""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with closing(http.client.HTTPConnection(host)) as connection:
        connection.sock = socket.socket(family)
        connection.sock.settimeout(30)
        #: To this machine alone the site says which release answers.
        if family == socket.AF_INET:
            connection.sock.bind(("127.0.0.1", 0))
        connection.sock.connect(address)
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection.sock = context.wrap_socket(connection.sock, server_hostname=host)
        try:
            connection.request("GET", path, headers={"X-Forwarded-Proto": proto})
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        except http.client.HTTPException as error:
            raise OSError(f"{path}: {error!r}") from error
