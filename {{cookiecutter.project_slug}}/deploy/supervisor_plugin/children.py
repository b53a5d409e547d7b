"""_("Ends what supervisord has started when supervisord is killed: orphans would keep the site's port, and whatever else they hold. Linux only.")"""

import ctypes
import os
import signal
import sys

from supervisor import events
from supervisor.process import Subprocess

PR_SET_PDEATHSIG = 1  # prctl(2)
LIBC = ctypes.CDLL(None)
start = Subprocess._spawn_as_child


def tie(supervisord):
    """_("As each is started: the system sends it the signal that stops it.")"""
    if sys.platform == "linux":
        events.subscribe(events.SupervisorRunningEvent, start_tied)


def start_tied(event):
    """_("From now on, supervisord keeps its pid: it is in the background.")"""
    me = os.getpid()

    def start_as_child(self, filename, argv):
        #: supervisord's own handler would swallow it, until the program is in its place.
        signal.signal(self.config.stopsignal, signal.SIG_DFL)
        LIBC.prctl(PR_SET_PDEATHSIG, self.config.stopsignal)
        #: It may have been killed already.
        if os.getppid() != me:
            os._exit(1)
        start(self, filename, argv)

    Subprocess._spawn_as_child = start_as_child
