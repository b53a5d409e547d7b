"""nginx as the template delivers it: only ports and folders are the test's."""

import http.client
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nginx import configure

from .commands import require
from .ports import free_port, listens
from .project import Response, Site
from .waiting import eventually

DOMAIN = "www.été.example"
ASCII_DOMAIN = "www.xn--t-9fab.example"


@dataclass
class Nginx:
    """A running nginx: its ports, and the certificate that the test trusts."""

    port: int
    tls_port: int
    certificate: Path

    def get(self, path: str = "/", client: str = "127.0.0.1", **headers: str) -> Response:
        """The answer by plain http to a visitor with this address."""
        return self._ask(self.connect(client), path, headers)

    def get_by_tls(self, path: str = "/", client: str = "127.0.0.1", **headers: str) -> Response:
        return self._ask(self.connect_by_tls(client), path, headers)

    def post(
        self,
        path: str,
        form: str = "",
        client: str = "127.0.0.1",
        tls: bool = False,
        **headers: str,
    ) -> Response:
        connection = self.connect_by_tls(client) if tls else self.connect(client)
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._ask(connection, path, kind | headers, "POST", form)

    def connect(self, client: str = "127.0.0.1") -> socket.socket:
        """A connection of a visitor with this address."""
        return socket.create_connection(("127.0.0.1", self.port), 10, (client, 0))

    def connect_by_tls(self, client: str = "127.0.0.1") -> socket.socket:
        context = ssl.create_default_context(cafile=str(self.certificate))
        plain = socket.create_connection(("127.0.0.1", self.tls_port), 10, (client, 0))
        return context.wrap_socket(plain, server_hostname=ASCII_DOMAIN)

    @staticmethod
    def _ask(
        connected: socket.socket,
        path: str,
        headers: dict[str, str],
        method: str = "GET",
        body: str | None = None,
    ) -> Response:
        connection = http.client.HTTPConnection(ASCII_DOMAIN)
        connection.sock = connected
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Response(
                response.status, response.headers, response.read().decode(errors="replace")
            )
        finally:
            connection.close()


def make_certificate(folder: Path) -> Path:
    """A certificate of its own, where certbot would leave one."""
    live = folder / "live" / ASCII_DOMAIN
    live.mkdir(parents=True)
    options = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={ASCII_DOMAIN}"
    san = ("-addext", f"subjectAltName=DNS:{ASCII_DOMAIN}")
    files = ("-keyout", str(live / "privkey.pem"), "-out", str(live / "fullchain.pem"))
    command = [require("openssl"), *options.split(), *san, *files]
    subprocess.run(command, check=True, capture_output=True)
    return live / "fullchain.pem"


@contextmanager
def serving(site: Site, certificate: Path, name: str) -> Iterator[Nginx]:
    """Runs nginx with http.conf or https.conf; nothing of it but ports and folders is changed."""
    folder = site.path.parent / name
    folder.mkdir()
    nginx = Nginx(free_port(), free_port(), certificate)
    ports = {80: nginx.port, 443: nginx.tls_port}
    options = configure(folder, site.path, name, ports, certificate.parents[1])
    command = [require("nginx"), *options]
    assert subprocess.check_output([*command, "-t", "-q"], stderr=subprocess.STDOUT) == b""
    with subprocess.Popen(command) as process:
        try:
            eventually(lambda: listens(nginx.port))
            yield nginx
        finally:
            process.terminate()
