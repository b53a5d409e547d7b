"""_("Has supervisord look at its processes when it is worth it: soon after a change, but not for each line of a log.")"""

#: Between two looks supervisord sleeps until a process or a command says something, a second at most. The first start, each step of a restart and the answers to commands wait for such looks. On a busy site, each request would wake it for a single line of the log.

import time

from supervisor import events

#: Seconds of rest before each look, in which lines gather.
REST = 0.02
#: Seconds after a change in which supervisord sleeps no longer than that.
BUSY = 5


class Pace:
    """_("Changes the sleep; supervisord does everything else as before.")"""

    def __init__(self, supervisord):
        poller = supervisord.options.poller
        self.sleep, poller.poll = poller.poll, self.rest_and_sleep
        events.subscribe(events.SupervisorRunningEvent, self.note_change)
        events.subscribe(events.ProcessStateEvent, self.note_change)

    def note_change(self, event):
        self.changed = time.monotonic()

    def rest_and_sleep(self, timeout):
        """_("supervisord calls it as poll(): it returns what can be read and written.")"""
        time.sleep(REST)
        busy = time.monotonic() < self.changed + BUSY
        return self.sleep(REST if busy else timeout)
