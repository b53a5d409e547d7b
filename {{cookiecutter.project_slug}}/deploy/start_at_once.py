"""{{ _("Makes supervisord start its programs at once.") }}

{{ _("Without it, supervisord waits up to a second for a first connection before it starts them.") }}
"""

from supervisor import events


class NoCommands:
    """{{ _("supervisord wants an object whose methods become commands; there are none.") }}"""


def make_rpcinterface(supervisord):
    """{{ _("Called by supervisord at its start: see [rpcinterface:x] in its manual.") }}"""

    def start_programs(event):
        for group in supervisord.process_groups.values():
            group.transition()

    events.subscribe(events.SupervisorRunningEvent, start_programs)
    return NoCommands()
