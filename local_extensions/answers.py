"""The rules: which answers give a project that works.

One function per answer in `RULES`. It returns nothing for a good value and raises `Refused`, with
the reason, for any other. Nothing here reads a file or the network, so a rule is tested by calling
it.
"""

import ipaddress
import keyword
import posixpath
import re
import sys
import unicodedata
from collections.abc import Callable, Mapping
from typing import NamedTuple

import idna

from .ports import split_address
from .quoting import idna_host
from .translations import gettext_noop
from .zones import NEW_NAMES, ZONES

# What a generated project can import already: its dependencies, its own modules and folders, and
# `test`, the one standard package that `sys.stdlib_module_names` leaves out.
TAKEN_MODULES = frozenset(
    [
        "accounts",
        "asgiref",
        "csp",
        "deploy",
        "django",
        "django_permissions_policy",
        "environ",
        "gunicorn",
        "gunicorn_classes",
        "manage",
        "packaging",
        "pages",
        "pip",
        "psycopg",
        "psycopg_binary",
        "server",
        "sqlparse",
        "supervisor",
        "supervisor_plugin",
        "test",
        "typing_extensions",
        "tzdata",
        "var",
        "venv",
        "whitenoise",
    ]
)
WINDOWS_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", *(f"{device}{n}" for device in ("com", "lpt") for n in range(10))]
)
# Zero-width joiners: format characters that emoji and Persian are written with.
JOINERS = "\u200c\u200d"
# RFC 1918, RFC 6598 (CGNAT) and loopback: nobody reaches these from the Internet.
PRIVATE_NETWORKS = tuple(
    map(
        ipaddress.IPv4Network,
        ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"),
    )
)
# What opens an expression, a statement or a comment in Jinja and in Django's templates.
TEMPLATE_CODE = re.compile(r"\{[{%#]")
SYSTEM_FOLDERS = frozenset(
    [
        "bin",
        "boot",
        "dev",
        "etc",
        "lib",
        "lib32",
        "lib64",
        "libx32",
        "lost+found",
        "proc",
        "root",
        "run",
        "sbin",
        "sys",
    ]
)
# A UNIX socket's path has 107 bytes on Linux (unix(7)); the rest is for the folders below.
INSTALL_DIR_LENGTH = 60
# A file's name has 255 bytes; the oldest of nginx's logs is called HOST.access.log.14.gz.
HOST_LENGTH = 238

EXAMPLES = {
    "language": "fr",
    "project_name": "L'Été à Paris",
    "project_slug": "mon_site",
    "description": "News of the chess club",
    "author_name": "Zoé O'Brien",
    "email": "zoe@example.com",
    "domain_name": "www.example.com",
    "time_zone": "Europe/Paris",
    "database": "postgresql",
    "tasks": "celery",
    "bind": "127.0.0.1:8000",
    "web_interface": "127.0.0.1:9001",
    "install_dir": "/srv/mon_site",
    "run_user": "www-data",
}


class Refused(ValueError):
    """A value breaks a rule. `reason` is an English text of the catalogue, `details` fill it in."""

    def __init__(self, reason: str, **details: object) -> None:
        super().__init__(reason)
        self.reason = reason
        self.details = details


class Problem(NamedTuple):
    """A wrong answer: its name, its value as given and why it is refused."""

    answer: str
    value: object
    refused: Refused


def problems(answers: Mapping[str, object]) -> list[Problem]:
    """Every wrong answer, in the order of the questions; an empty list where all are good."""
    found = []
    for answer, rule in RULES.items():
        value = answers.get(answer)
        try:
            if not isinstance(value, str):
                raise Refused(gettext_noop("The answer is missing, or is not a text."))
            rule(value)
        except Refused as refused:
            found.append(Problem(answer, value, refused))
    if not found:
        found.extend(_port_used_twice(answers))
    return found


def _port_used_twice(answers: Mapping[str, object]) -> list[Problem]:
    """The site and the web interface cannot listen at one address."""
    bind, web = str(answers["bind"]), str(answers["web_interface"])
    if web == "off":
        return []
    (bind_host, bind_port), (web_host, web_port) = split_address(bind), split_address(web)
    if bind_port != web_port or (bind_host != web_host and bind_host != "0.0.0.0"):
        return []
    reason = gettext_noop("bind has this address and port already; take another port.")
    return [Problem("web_interface", web, Refused(reason))]


def check_language(value: str) -> None:
    """Valid: en, fr. Invalid: de."""
    if value not in ("en", "fr"):
        raise Refused(gettext_noop("The languages are en (English) and fr (French)."))


def check_project_slug(value: str) -> None:
    """A Python package that hides no other module, on any system.

    Valid: mon_site, blog2. Invalid: Mon-Site, 2blog, été, class, match, test, json, django, con.
    Source: the Python Language Reference, 2.3 (identifiers, keywords, soft keywords), and
    `sys.stdlib_module_names`.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", value):
        raise Refused(
            gettext_noop("Write a letter from a to z, then at most 39 small letters, digits or _.")
        )
    if keyword.iskeyword(value) or keyword.issoftkeyword(value):
        raise Refused(gettext_noop("This is a word of the Python language; take another."))
    if value in sys.stdlib_module_names or value in TAKEN_MODULES:
        raise Refused(
            gettext_noop("A Python module of this name exists already and would be hidden.")
        )
    if value in WINDOWS_DEVICES:
        raise Refused(gettext_noop("Windows reserves this name for a device."))


def check_text(value: str, limit: int = 80) -> None:
    """A line that people read, of at most `limit` characters.

    Valid: L'Été à Paris – 100 % "sûr", 😀, 中文. Invalid: an empty line, a newline, U+202E, {{ x }}.
    Source: the general categories of the Unicode Standard, 4.5: no control, format, surrogate or
    private-use character and no line separator can be seen, and some reorder the text around them.
    """
    if not value.strip() or value != value.strip():
        raise Refused(gettext_noop("Write a text that neither starts nor ends with a space."))
    if len(value) > limit:
        raise Refused(
            gettext_noop("It has {length} characters; at most {limit} fit."),
            length=len(value),
            limit=limit,
        )
    for character in value:
        hidden = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
        if hidden and character not in JOINERS:
            raise Refused(
                gettext_noop("The invisible character {code} cannot be used."),
                code=f"U+{ord(character):04X}",
            )
    if TEMPLATE_CODE.search(value):
        raise Refused(gettext_noop("{{{{, {{% and {{# belong to the templates and cannot be used."))


def check_description(value: str) -> None:
    """As `check_text`, of at most 200 characters."""
    check_text(value, limit=200)


def check_email(value: str) -> None:
    """One address, without a name around it.

    Valid: zoe@example.com, o'brien+web@example.co.uk. Invalid: zoe, a@b@c, Zoé <zoe@example.com>.
    Source: the HTML Standard, "valid e-mail address", without braces; the length is RFC 5321's.
    """
    label = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    if len(value) > 254 or not re.fullmatch(
        rf"[A-Za-z0-9.!#$%&'*+/=?^_`|~-]+@{label}(?:\.{label})+", value
    ):
        raise Refused(gettext_noop("Write one address, as name@domain."))


def check_domain_name(value: str) -> None:
    """A host name: no scheme, port, path, wildcard or IP address.

    Valid: www.example.com, localhost, été.fr. Invalid: http://example.com, a_b.fr, 10.0.0.1.
    Source: RFC 1123, 2.1; with accents RFC 5891, and RFC 5890's A-label is what the files get.
    """
    label = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
    try:
        host = idna_host(value)
    except idna.IDNAError:
        host = ""
    well_formed = re.fullmatch(rf"(?:{label}\.)*{label}", host)
    if not well_formed or host.rpartition(".")[2].isdigit():
        raise Refused(gettext_noop("Write a host name alone, without http://, port or path."))
    if len(host) > HOST_LENGTH:
        raise Refused(
            gettext_noop("It has {length} characters; at most {limit} fit."),
            length=len(host),
            limit=HOST_LENGTH,
        )


def check_time_zone(value: str) -> None:
    """A zone of the tz database. Valid: UTC, Europe/Paris. Invalid: Paris, GMT+25, US/Pacific."""
    if value in NEW_NAMES:
        raise Refused(gettext_noop("This is an old name, which Debian 13 no longer knows."))
    if value not in ZONES:
        raise Refused(gettext_noop("The tz database has no such zone."))


def check_database(value: str) -> None:
    """Valid: sqlite, postgresql. Invalid: mysql."""
    if value not in ("sqlite", "postgresql"):
        raise Refused(gettext_noop("The databases are sqlite and postgresql."))


def check_tasks(value: str) -> None:
    """Valid: none, celery. Invalid: rq."""
    if value not in ("none", "celery"):
        raise Refused(gettext_noop("The tasks are none or celery."))


def check_address(value: str) -> ipaddress.IPv4Address:
    """An IPv4 address, or localhost, and a port that needs no root.

    Valid: 127.0.0.1:8000, 0.0.0.0:8000. Invalid: 8000, 127.0.0.1:80, [::1]:8000, 224.0.0.1:8000.
    Source: supervisor's `InetStreamSocketConfig` binds AF_INET only; ip(7), privileged ports.
    """
    if value.startswith("["):
        raise Refused(gettext_noop("supervisord binds IPv4 addresses only."))
    if not re.fullmatch(r"[a-z0-9.]+:[0-9]{1,5}", value):
        raise Refused(gettext_noop("Write an IPv4 address, a colon and a port."))
    host, port = split_address(value)
    try:
        address = ipaddress.IPv4Address(host)
    except ValueError:
        raise Refused(gettext_noop("{host} is not an IPv4 address."), host=host) from None
    if not 1024 <= port <= 65535:
        raise Refused(gettext_noop("The port must lie between 1024 and 65535."))
    if address.is_multicast or address.is_reserved:
        raise Refused(gettext_noop("No machine can have the address {host}."), host=host)
    return address


def check_web_interface(value: str) -> None:
    """As `check_address`, and out of the Internet's reach; or off.

    Valid: 127.0.0.1:9001, 192.168.1.5:9001, off. Invalid: 0.0.0.0:9001, 8.8.8.8:9001, :9001.
    Source: RFC 1918 and RFC 6598.
    """
    if value == "off":
        return
    address = check_address(value)
    if not any(address in network for network in PRIVATE_NETWORKS):
        raise Refused(
            gettext_noop(
                "Whoever reaches the web interface can stop the site: give it a loopback or private"
                " address, or off."
            )
        )


def check_install_dir(value: str) -> None:
    """An absolute folder below one that is not the system's.

    Valid: /srv/mon_site, /home/zoe/site, /opt/x. Invalid: srv, /srv, /srv/../etc, /etc/site, /usr/x.
    Source: the Filesystem Hierarchy Standard 3.0, chapter 3.
    """
    if (
        not re.fullmatch(r"/[A-Za-z0-9._-][A-Za-z0-9._/-]*", value)
        or posixpath.normpath(value) != value
    ):
        raise Refused(
            gettext_noop(
                "Write an absolute path of letters, digits and . _ - without .. or a final /."
            )
        )
    if len(value) > INSTALL_DIR_LENGTH:
        raise Refused(
            gettext_noop(
                "It has {length} characters; at most {limit} leave room for the UNIX socket."
            ),
            length=len(value),
            limit=INSTALL_DIR_LENGTH,
        )
    first, *rest = value[1:].split("/")
    if not rest or first in SYSTEM_FOLDERS or (first == "usr" and rest[0] != "local"):
        raise Refused(gettext_noop("This folder belongs to the system; take one below /srv, say."))


def check_run_user(value: str) -> None:
    """A user other than root.

    Valid: www-data, site_1. Invalid: root, 1000, Zoé. Source: Debian's adduser, NAME_REGEX; of its
    32 letters systemd wants one less (User/Group Name Syntax, "strict").
    """
    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,30}", value):
        raise Refused(gettext_noop("Write a user name: small letters, digits, - and _."))
    if value == "root":
        raise Refused(
            gettext_noop("A web site must not run as root: who breaks in owns the machine.")
        )


# Name of the answer → its rule, in the order of the questions.
RULES: dict[str, Callable[[str], object]] = {
    "language": check_language,
    "project_name": check_text,
    "project_slug": check_project_slug,
    "description": check_description,
    "author_name": check_text,
    "email": check_email,
    "domain_name": check_domain_name,
    "time_zone": check_time_zone,
    "database": check_database,
    "tasks": check_tasks,
    "bind": check_address,
    "web_interface": check_web_interface,
    "install_dir": check_install_dir,
    "run_user": check_run_user,
}
