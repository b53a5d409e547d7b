"""_("What supervisord does not do by itself.")"""

#: supervisord loads this module: it looks at its processes when it is worth it, keeps the sockets of FastCGI groups open while their processes restart, notes which processes are ready, ends them when it is killed itself, tries again what has failed, refuses a config that cannot work, shows any log, logs failed logins, and says in a sentence why supervisord cannot start. supervisorctl loads rolling_restart, which needs this one.
#
# [rpcinterface:supervisor_plugin]
# supervisor.rpcinterface_factory = supervisor_plugin.server:make_rpcinterface
# [ctlplugin:supervisor_plugin]
# supervisor.ctl_factory = supervisor_plugin.rolling_restart:RollingRestart

import functools
import sys

from server import environment

from . import children
from .config_check import check_at_hangup
from .failed_logins import log_failed_logins
from .held_sockets import HeldSockets
from .pace import Pace
from .plain_errors import explain
from .readable_logs import make_logs_readable
from .readiness import Readiness
from .retries import Retries

#: Imported as supervisord reads its config: its programs, started later, get no more. What systemd says, fd_store.py has taken.
environment.keep(environment.SITE)
#: supervisord opens the sockets before it calls make_rpcinterface: this must stand ready.
sys.excepthook = explain
make_logs_readable()


class RPCInterface:
    """_("The methods that supervisorctl can call, as supervisor_plugin.*")"""

    def __init__(self, readiness):
        self._readiness = readiness

    def getReadyProcesses(self):
        """_("Names the processes that have said since their last start that they serve.")

        @return array result  _("names, as group:process")
        """
        return sorted(self._readiness.processes)


#: supervisord calls it once for each of its HTTP servers; one plugin is enough.
@functools.lru_cache(maxsize=1)
def make_rpcinterface(supervisord):
    """_("Called once supervisord has made its groups, before it starts their programs.")"""
    children.tie(supervisord)
    Pace(supervisord)
    HeldSockets(supervisord)
    Retries(supervisord)
    check_at_hangup(supervisord)
    log_failed_logins(supervisord)
    return RPCInterface(Readiness(supervisord))
