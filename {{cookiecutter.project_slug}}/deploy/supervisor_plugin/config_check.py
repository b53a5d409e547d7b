"""_("Refuses a config that cannot work before anything stops for it: at update, reread, reload and SIGHUP.")"""

#: supervisord by itself stops what runs first, and sees then: the site would be gone.

import errno
import functools
import io
import itertools
import os
import signal
import socket
import stat

from supervisor.datatypes import InetStreamSocketConfig, UnixStreamSocketConfig
from supervisor.options import ProcessException, ServerOptions
from supervisor.process import Subprocess
from supervisor.rpcinterface import SupervisorNamespaceRPCInterface as Commands
from supervisor.xmlrpc import Faults, RPCError

from .plain_errors import SOCKET_REMEDY

TAKEN = os.strerror(errno.EADDRINUSE)


class Refused(RPCError):
    """_("supervisorctl shows its text.")"""

    def __init__(self, reason):
        super().__init__(Faults.CANT_REREAD)
        text = _py("deploy/supervisord.conf is refused, and everything goes on as before. {reason}")
        self.text = text.format(reason=reason)


def check(supervisord):
    try:
        require_usable(supervisord)
    except Refused as refused:
        supervisord.options.logger.critical(refused.text)
        raise


def require_usable(supervisord):
    """_("What runs already is left alone, and its addresses may be taken again.")"""
    options = read()
    running = [group.config for group in supervisord.process_groups.values()]
    own = [*sockets(running, supervisord.options.server_configs)]
    new = [*sockets(options.process_group_configs, options.server_configs)]
    for one, other in itertools.combinations(new, 2):
        if overlap(one, other):
            raise Refused(f"{one.url}, {other.url}: {TAKEN}.")
    for config in new:
        try_to_open(config, own)
    for group in options.process_group_configs:
        if group not in running:
            find_programs(group)


def read():
    """_("As supervisord's own code reads it when it starts.")"""
    options = ServerOptions()
    options.stderr = io.StringIO()
    try:
        options.realize()
    except SystemExit:
        #: The last line is a hint at its help.
        lines = options.stderr.getvalue().splitlines()[:-1]
        raise Refused(" ".join(lines)) from None
    return options


def sockets(groups, servers):
    """_("Those of the FastCGI groups, of supervisorctl and of the web interface.")"""
    for group in groups:
        if hasattr(group, "socket_config"):
            yield group.socket_config
    for server in servers:
        if server["family"] == socket.AF_UNIX:
            yield UnixStreamSocketConfig(server["file"])
        else:
            yield InetStreamSocketConfig(server["host"], server["port"])


def overlap(one, other):
    """_("Whether only one of them can be open: 0.0.0.0:8000 holds 127.0.0.1:8000 too.")"""
    if one.url == other.url or hasattr(one, "path") or hasattr(other, "path"):
        return one.url == other.url
    hosts = {socket.gethostbyname(each.host) for each in (one, other)}
    return one.port == other.port and (len(hosts) == 1 or "0.0.0.0" in hosts)


def try_to_open(config, own):
    """_("For a moment, as supervisord will.")"""
    if config.url in [each.url for each in own]:
        return
    path = getattr(config, "path", None)
    try:
        if path and os.path.lexists(path):
            require_unused(path)
        config.create_and_bind().close()
        if path:
            os.unlink(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        if reason != TAKEN or not any(overlap(config, each) for each in own):
            raise Refused(f"{config.url}: {reason}. {SOCKET_REMEDY}") from None


def require_unused(path):
    """_("supervisord replaces any file: only a socket that nobody listens to may go.")"""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        is_socket = stat.S_ISSOCK(os.lstat(path).st_mode)
        if not is_socket or probe.connect_ex(path) != errno.ECONNREFUSED:
            raise OSError(errno.EADDRINUSE, TAKEN)


def find_programs(group):
    for config in group.process_configs:
        try:
            Subprocess(config).get_execv_args()
        except ProcessException as error:
            raise Refused(f"[{group.name}] {error}") from None
        if config.directory and not os.path.isdir(config.directory):
            missing = os.strerror(errno.ENOENT)
            raise Refused(f"[{group.name}] directory = {config.directory}: {missing}")


def checked(command):
    @functools.wraps(command)
    def check_first(self):
        check(self.supervisord)
        return command(self)

    return check_first


Commands.reloadConfig = checked(Commands.reloadConfig)
Commands.restart = checked(Commands.restart)


def check_at_hangup(supervisord):
    """_("SIGHUP means reload.")"""
    options = supervisord.options

    def get_signal(next_signal=options.get_signal):
        number = next_signal()
        try:
            if number == signal.SIGHUP:
                check(supervisord)
        except Refused:
            return None
        return number

    options.get_signal = get_signal
