"""_("Says in a sentence why supervisord cannot start, where it would show its own code.")"""

import sys


def explain(kind, error, traceback):
    """_("Python calls it with the error that ends supervisord.")"""
    if str(error).startswith("Could not create FastCGI socket"):
        print(
            error,
            _py("Stop the program that listens there, or change socket= in deploy/supervisord.conf."),
            sep="\n",
            file=sys.stderr,
        )
    elif isinstance(error, OSError) and error.filename:
        print(
            error,
            _py("Make it writable for the user who starts supervisord."),
            sep="\n",
            file=sys.stderr,
        )
    else:
        sys.__excepthook__(kind, error, traceback)
