"""_("What deploy/supervisord.conf says of the site's addresses, by supervisor's own rules of reading.")"""

#: supervisor itself cannot be asked: it stands in the venv, which is not there yet. The rules: supervisor/options.py, UnhosedConfigParser and read_config; supervisor/datatypes.py, inet_address.

import configparser
import glob
import os
import re

from .commands import Failed
from .facts import GROUP

SITE = f"fcgi-program:{GROUP}"
WEB_INTERFACE = "inet_http_server"


class SupervisordConf:
    """_("The config of the code in this folder; with local, as it is on this machine alone. site and web_interface are addresses as socket.connect() takes them: (host, port), or the path of a UNIX socket; None is none.")"""

    def __init__(self, code, local=False):
        self.path = code / "deploy" / "supervisord.conf"
        self.expansions = {f"ENV_{name}": os.environ[name] for name in os.environ}
        self.expansions["here"] = str(self.path.parent)
        self.expansions["program_name"] = self.expansions["group_name"] = GROUP
        self.parser = configparser.RawConfigParser(
            inline_comment_prefixes=(";", "#"), strict=False
        )
        self.read(self.path)
        for pattern in self.value("include", "files").split():
            for file in sorted(glob.glob(str(self.path.parent / pattern))):
                if local or os.path.basename(file) != "local.conf":
                    self.read(file)
        self.site = self.site_address()
        self.web_interface = self.web_interface_address()

    def addresses(self):
        """_("Both as they are written, wherever the code lies.")"""
        return self.written(SITE, "socket"), self.written(WEB_INTERFACE, "port")

    def with_ports(self, site, web_interface):
        """_("The lines of a config that gives it these ports, at the same addresses.")"""
        host = "127.0.0.1" if isinstance(self.site, str) else self.site[0]
        yield from (f"[{SITE}]", f"socket = tcp://{host}:{site}")
        if self.web_interface:
            host = self.web_interface[0]
            yield from ("", f"[{WEB_INTERFACE}]", f"port = {host}:{web_interface}")

    def read(self, file):
        try:
            self.parser.read(file, encoding="utf-8")
        except configparser.Error as error:
            text = _py("{file} cannot be read: {reason}")
            raise Failed(text, file=file, reason=" ".join(str(error).split())) from None

    def written(self, section, key):
        return self.parser.get(section, key, fallback="")

    def value(self, section, key):
        """_("With %(here)s and the like filled in.")"""
        try:
            return self.written(section, key) % self.expansions
        except (KeyError, TypeError, ValueError):
            raise self.refusal(section, key) from None

    def site_address(self):
        if not self.parser.has_section(SITE):
            text = _py("{file} has no [{section}]. deploy/server/facts.py and deploy/supervisord.conf must name the same group.")
            raise Failed(text, file=self.path, section=SITE)
        value = self.value(SITE, "socket")
        if value.startswith("unix:///"):
            return os.path.normpath(value.removeprefix("unix://"))
        if found := re.fullmatch(r"tcp://([^\s:]+):(\d+)", value):
            return local_host(found[1]), int(found[2])
        raise self.refusal(SITE, "socket")

    def web_interface_address(self):
        if not self.parser.has_section(WEB_INTERFACE):
            return None
        host, _, port = self.value(WEB_INTERFACE, "port").rpartition(":")
        if not port.isdecimal():
            raise self.refusal(WEB_INTERFACE, "port")
        return local_host(host.lower()), int(port)

    def refusal(self, section, key):
        text = _py("{file} cannot be used: {key} = {value} in [{section}]. Write an address and a port, as 127.0.0.1:8000.")
        return Failed(
            text,
            file=self.path,
            section=section,
            key=key,
            value=self.written(section, key),
        )


def local_host(host):
    """_("As socket.bind() takes it; 0.0.0.0 is every address of this machine.")"""
    return {"": "0.0.0.0", "*": "0.0.0.0", "localhost": "127.0.0.1"}.get(host, host)


def shown(address):
    """_("As people type it on this machine: 127.0.0.1:8000.")"""
    if isinstance(address, str):
        return f"unix:{address}"
    host, port = address
    return f"{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"
