"""_("Has supervisorctl say refusals in a sentence, and return from shutdown when supervisord is gone.")"""

import socket
import sys
from contextlib import suppress
from xmlrpc.client import Fault

from supervisor.supervisorctl import LSBInitExitStatuses
from supervisor.xmlrpc import Faults

#: After this many seconds, a sentence says why it takes so long.
PATIENCE = 2


class PlainCommands:
    """_("Takes the place of some of supervisorctl's own commands.")"""

    def __init__(self, controller):
        self.ctl = controller
        #: A letter that the terminal does not know would end the command.
        controller.stdout.reconfigure(errors="replace")
        own = controller.options.plugins[0]
        own.do_update = self.plain(own.do_update)
        own.do_reload = self.plain(own.do_reload)
        self.shut_down, own.do_shutdown = own.do_shutdown, self.do_shutdown

    def plain(self, command):
        def run(arg):
            try:
                command(arg)
            except Fault as fault:
                if fault.faultCode != Faults.CANT_REREAD:
                    raise
                fail(self.ctl, fault.faultString)

        return run

    def do_shutdown(self, arg):
        with socket.socket(socket.AF_UNIX) as line:
            with suppress(OSError):
                line.connect(self.ctl.options.serverurl.removeprefix("unix://"))
            self.shut_down(arg)
            if self.is_ending():
                try:
                    self.await_end(line)
                except KeyboardInterrupt:
                    fail(self.ctl, _py("supervisord goes on ending by itself."))

    def is_ending(self):
        """_("It is not where somebody has answered no.")"""
        try:
            self.ctl.get_supervisor().getState()
        except (OSError, Fault):
            return True
        return False

    def await_end(self, line):
        """_("supervisord hangs up last, when its addresses are free.")"""
        line.settimeout(PATIENCE)
        with suppress(OSError):
            try:
                line.recv(1)
            except TimeoutError:
                text = _py("Its programs finish what they have begun; Ctrl-C ends only the waiting.")
                say(self.ctl, text)
                line.settimeout(None)
                line.recv(1)


def say(controller, text):
    """_("At once, also where the output is a file or a pipe.")"""
    controller.output(text)
    controller.stdout.flush()


def fail(controller, text):
    print(text, file=sys.stderr)
    controller.exitstatus = LSBInitExitStatuses.GENERIC
