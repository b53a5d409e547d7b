"""_("Says in a sentence why supervisord cannot start, where it would show its own code.")"""

import errno
import sys

REMEDIES = {
    errno.EACCES: _py("Make it writable for the user who starts supervisord."),
    errno.ENOENT: _py("Its folder is missing: ./bootstrap.sh makes it."),
    errno.ENOSPC: _py("Its disk is full: free some space."),
    errno.EROFS: _py("Its disk is read-only: mount it for writing."),
}


def explain(kind, error, traceback):
    """_("Python calls it with the error that ends supervisord.")"""
    if str(error).startswith("Could not create FastCGI socket"):
        show(
            error,
            _py("Stop the program that listens there, or change socket= in deploy/supervisord.conf."),
        )
    elif isinstance(error, OSError) and error.errno in REMEDIES and error.filename:
        show(error, REMEDIES[error.errno])
    else:
        sys.__excepthook__(kind, error, traceback)


def show(error, remedy):
    print(error, remedy, sep="\n", file=sys.stderr)
