"""_("Tries again what supervisord has given up: FATAL would else last until somebody comes.")"""

import functools
import time
from collections import Counter

from supervisor import events, rpcinterface
from supervisor.rpcinterface import SupervisorNamespaceRPCInterface as Commands
from supervisor.states import RUNNING_STATES, ProcessStates, SupervisorStates

from . import systemd
from .readiness import full_name

#: Seconds until the next try, and the one after it; the last stays.
DISTANCES = (60, 300, 900, 3600)


class Retries:
    """_("Of the processes that supervisord shall restart; names are group:process.")"""

    def __init__(self, supervisord):
        self.supervisord = supervisord
        #: How often each was given up since it last ran, and when it is tried again.
        self.failures = Counter()
        self.due = {}
        #: What was said of each, until it runs.
        self.said = {}
        events.subscribe(events.ProcessStateFatalEvent, self.plan)
        events.subscribe(events.Tick5Event, self.try_again)
        events.subscribe(events.ProcessStateStartingEvent, self.note_start)
        events.subscribe(events.ProcessStateRunningEvent, self.forget)
        events.subscribe(events.ProcessStateStoppedEvent, self.forget)

    def goes_on(self):
        return self.supervisord.options.mood == SupervisorStates.RUNNING

    def plan(self, event):
        process, name = event.process, full_name(event.process)
        if not self.goes_on():
            return
        if process.config.autorestart:
            seconds = DISTANCES[min(self.failures[name], len(DISTANCES) - 1)]
            self.failures[name] += 1
            self.due[name] = time.monotonic() + seconds
            when = time.strftime("%H:%M", time.localtime(time.time() + seconds))
            #: status shows it.
            text = _py("{error}; next try at {time}")
            process.spawnerr = text.format(error=process.spawnerr, time=when)
        self.said[name] = f"{name} FATAL: {process.spawnerr}"
        self.supervisord.options.logger.info(self.said[name])
        systemd.log_error(self.said[name])
        self.tell_systemd()

    def tell_systemd(self):
        """_("systemctl status shows it.")"""
        systemd.notify(f"STATUS={'; '.join(sorted(self.said.values()))}")

    def try_again(self, event):
        for group in self.supervisord.process_groups.values():
            for process in group.processes.values():
                due = self.due.get(full_name(process), float("inf"))
                if due <= time.monotonic() and is_fatal(process) and self.goes_on():
                    del self.due[full_name(process)]
                    process.spawn()

    def note_start(self, event):
        """_("By hand, if it was not due yet.")"""
        if full_name(event.process) in self.due:
            self.forget(event)

    def forget(self, event):
        name = full_name(event.process)
        self.due.pop(name, None)
        del self.failures[name]
        if self.said.pop(name, None):
            self.tell_systemd()


def is_fatal(process):
    return process.get_state() == ProcessStates.FATAL


def let_stop(stop):
    """_("FATAL becomes STOPPED: supervisord itself has nothing to stop there.")"""

    @functools.wraps(stop)
    def stop_process(self, name, wait=True):
        _, process = self._getGroupAndProcess(name)
        if process is None or not is_fatal(process):
            return stop(self, name, wait)
        process.change_state(ProcessStates.STOPPED)
        return True

    return stop_process


def is_stopped(process):
    return process.get_state() not in RUNNING_STATES


Commands.stopProcess = let_stop(Commands.stopProcess)
#: Whom stop and start, with a group or all, ask.
rpcinterface.isRunning = lambda process: not is_stopped(process) or is_fatal(process)
rpcinterface.isNotRunning = is_stopped
