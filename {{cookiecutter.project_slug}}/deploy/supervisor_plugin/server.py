"""_("What supervisord does not do by itself; deploy/supervisord.conf names this module.")"""

import sys

from supervisor import events


def explain(kind, error, traceback):
    """_("Says in one sentence that a port is taken; supervisord would show its own code.")"""
    if str(error).startswith("Could not create FastCGI socket"):
        print(
            error,
            _py("Stop the program that listens there, or change socket= in deploy/supervisord.conf."),
            sep="\n",
            file=sys.stderr,
        )
    else:
        sys.__excepthook__(kind, error, traceback)


#: supervisord opens the sockets before it calls make_rpcinterface: this must stand ready.
sys.excepthook = explain


class NoCommands:
    """_("supervisord wants an object whose methods become commands; there are none.")"""


def make_rpcinterface(supervisord):
    """_("Makes supervisord start its programs at once: it would wait up to a second.")"""

    def start_programs(event):
        for group in supervisord.process_groups.values():
            group.transition()

    events.subscribe(events.SupervisorRunningEvent, start_programs)
    return NoCommands()
