"""_("Keeps the listening sockets open while every process of their group restarts.")"""

#: supervisord closes a group's socket when the last process that has it ends: visitors would be refused until another starts. A reference held here keeps it open, and they wait. It is let go when the group stays stopped, so that a proxy can say at once that the site is down.

from supervisor import events
from supervisor.states import SupervisorStates

from . import fd_store


class HeldSockets:
    """_("One reference to the socket of each FastCGI group, as long as the group is meant to run.")"""

    def __init__(self, supervisord):
        self.process_groups = supervisord.process_groups
        self.options = supervisord.options
        self.held = {}
        #: The groups that were stopped at the last tick.
        self.stopped = set()
        #: Before the first process starts, too: who asks in that moment waits for it.
        for group in self.process_groups.values():
            self.hold(group)
        events.subscribe(events.SupervisorRunningEvent, fd_store.note_running)
        events.subscribe(events.ProcessStateStartingEvent, self.note_start)
        events.subscribe(events.Tick5Event, self.let_go_of_stopped_groups)
        events.subscribe(events.ProcessGroupRemovedEvent, self.let_go_of_removed_group)
        events.subscribe(events.SupervisorStoppingEvent, self.let_go_of_all)

    def note_start(self, event):
        """_("A process starts: its group is meant to run.")"""
        self.stopped.discard(event.process.group.config.name)
        self.hold(event.process.group)

    def hold(self, group):
        if hasattr(group, "socket_manager") and group.config.name not in self.held:
            self.held[group.config.name] = group.socket_manager.get_socket()
            fd_store.store(self.held[group.config.name])

    def let_go_of_stopped_groups(self, event):
        """_("A group that is stopped at two ticks on end, five seconds apart, is meant to be.")"""
        stopped = {
            name
            for name in self.held
            if not self.process_groups[name].get_unstopped_processes()
        }
        for name in stopped & self.stopped:
            fd_store.shut_down(self.held.pop(name))
        self.stopped = stopped

    def let_go_of_removed_group(self, event):
        """_("At once: a group of the same address may follow.")"""
        if event.group in self.held:
            fd_store.shut_down(self.held.pop(event.group))

    def let_go_of_all(self, event):
        """_("supervisord ends, and systemd holds them; or begins anew (supervisorctl reload), and then it must make them itself.")"""
        if self.options.mood == SupervisorStates.RESTARTING:
            fd_store.forget_all()
        self.held.clear()
