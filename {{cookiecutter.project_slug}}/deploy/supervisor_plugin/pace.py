"""_("Has supervisord look at its processes again soon after a change, instead of a second later.")"""

#: Between two looks supervisord sleeps until a process or a command says something, a second at most. The steps of a restart wait for such looks, and so do the first start and the answers to commands.

import time

from supervisor import events

#: Seconds from one look to the next, and those after a change in which this holds.
SOON = 0.02
WHILE = 5


class Pace:
    """_("Shortens the sleep; supervisord goes on doing everything else as before.")"""

    def __init__(self, supervisord):
        poller = supervisord.options.poller
        self.sleep, poller.poll = poller.poll, self.sleep_less
        events.subscribe(events.SupervisorRunningEvent, self.note_change)
        events.subscribe(events.ProcessStateEvent, self.note_change)

    def note_change(self, event):
        self.changed = time.monotonic()

    def sleep_less(self, timeout):
        """_("supervisord calls it as poll(): it returns what can be read and written.")"""
        if time.monotonic() < self.changed + WHILE:
            timeout = SOON
        return self.sleep(timeout)
