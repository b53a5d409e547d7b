"""_("Says in a sentence why supervisord or a process cannot start, where supervisord would show its own code.")"""

import errno
import functools
import sys

from supervisor.process import FastCGISubprocess
from supervisor.states import ProcessStates

REMEDIES = {
    errno.EACCES: _py("Make it writable for the user who starts supervisord."),
    errno.ENOENT: _py("Its folder is missing: ./bootstrap.sh makes it."),
    errno.ENOSPC: _py("Its disk is full: free some space."),
    errno.EROFS: _py("Its disk is read-only: mount it for writing."),
}
ANY_OTHER = _py("supervisord needs it: put that right, and start it again.")
SOCKET_REMEDY = _py("Stop the program that listens there, or change the address in deploy/supervisord.conf.")


def explain(kind, error, traceback):
    """_("Python calls it with the error that ends supervisord.")"""
    if str(error).startswith("Could not create FastCGI socket"):
        show(error, SOCKET_REMEDY)
    elif isinstance(error, OSError) and error.filename:
        show(error, REMEDIES.get(error.errno, ANY_OTHER))
    else:
        sys.__excepthook__(kind, error, traceback)


def show(error, remedy):
    print(error, remedy, sep="\n", file=sys.stderr)


def note_failure(spawn):
    """_("A socket that was let go may be taken when its group starts again: supervisord itself would end.")"""

    @functools.wraps(spawn)
    def spawn_or_note(self):
        try:
            return spawn(self)
        except OSError as error:
            url = self.group.socket_manager.config().url
            self.record_spawnerr(f"{url}: {error.strerror}. {SOCKET_REMEDY}")
            self.change_state(ProcessStates.BACKOFF)

    return spawn_or_note


FastCGISubprocess.spawn = note_failure(FastCGISubprocess.spawn)
