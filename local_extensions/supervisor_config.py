"""The keys that supervisord knows, section by section.

supervisord ignores a key that it does not know, and takes the last of two equal ones: `autorestrat`
would go unseen. Source: the configuration file chapter of supervisor 4.3's manual; the tests
compare this table with what supervisor's own code reads.
"""

import configparser

from .translations import mark

_LOG_KEYS = frozenset(
    f"{stream}_{key}"
    for stream in ("stdout", "stderr")
    for key in (
        "capture_maxbytes",
        "events_enabled",
        "logfile",
        "logfile_backups",
        "logfile_maxbytes",
        "syslog",
    )
)
_SERVER_KEYS = frozenset(["username", "password"])
_PROGRAM_KEYS = _LOG_KEYS | frozenset(
    [
        "autorestart",
        "autostart",
        "command",
        "directory",
        "environment",
        "exitcodes",
        "killasgroup",
        "numprocs",
        "numprocs_start",
        "priority",
        "process_name",
        "redirect_stderr",
        "serverurl",
        "startretries",
        "startsecs",
        "stopasgroup",
        "stopsignal",
        "stopwaitsecs",
        "umask",
        "user",
    ]
)

# What stands before the colon of a section's name → the keys it may hold.
KNOWN_KEYS: dict[str, frozenset[str]] = {
    "unix_http_server": _SERVER_KEYS | {"file", "chmod", "chown"},
    "inet_http_server": _SERVER_KEYS | {"port"},
    "supervisord": frozenset(
        [
            "childlogdir",
            "directory",
            "environment",
            "identifier",
            "logfile",
            "logfile_backups",
            "logfile_maxbytes",
            "loglevel",
            "minfds",
            "minprocs",
            "nocleanup",
            "nodaemon",
            "pidfile",
            "silent",
            "strip_ansi",
            "umask",
            "user",
        ]
    ),
    "supervisorctl": _SERVER_KEYS | {"serverurl", "prompt", "history_file"},
    "include": frozenset(["files"]),
    "program": _PROGRAM_KEYS,
    "fcgi-program": _PROGRAM_KEYS | {"socket", "socket_backlog", "socket_mode", "socket_owner"},
    "rpcinterface": frozenset(["supervisor.rpcinterface_factory"]),
    "ctlplugin": frozenset(["supervisor.ctl_factory"]),
}


class WrongConfig(ValueError):
    """The file breaks a rule. `text` is an English text of the catalogue, `details` fill it in."""

    def __init__(self, text: str, **details: object) -> None:
        super().__init__(text)
        self.text = text
        self.details = details


def read(path: str) -> configparser.RawConfigParser:
    """The config, parsed as supervisor's `UnhosedConfigParser` does, but strictly.

    Raises WrongConfig for what is not INI, for a section or key given twice, and for one that
    supervisord does not know.
    """
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=True)
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_file(file)
    except configparser.Error as error:
        raise WrongConfig(
            mark("supervisord cannot read {file}: {error}"), file=path, error=error.message
        ) from error
    for section in parser.sections():
        known = KNOWN_KEYS.get(section.partition(":")[0])
        if known is None:
            raise WrongConfig(
                mark("supervisord knows no section [{section}] ({file})."),
                section=section,
                file=path,
            )
        for key in parser.options(section):
            if key not in known:
                raise WrongConfig(
                    mark("supervisord knows no key {key} in [{section}] ({file})."),
                    key=key,
                    section=section,
                    file=path,
                )
    return parser
