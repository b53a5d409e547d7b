"""_("Runs one of the commands: python3 deploy/server COMMAND [WORD]...")"""

import importlib
import os
import signal
import sys
from pathlib import Path

#: Python was given this folder: its modules are imported as those of a package. Links stay: the config's paths go through current.
sys.path[0] = str(Path(__file__).absolute().parents[1])

from server import environment
from server.commands import Failed, Interrupted, complain, handle_signals


def interrupt(number, frame):
    #: Whoever presses Ctrl-C twice does not interrupt the way back.
    handle_signals(signal.SIG_IGN)
    raise KeyboardInterrupt


def main(command, *words):
    os.umask(0o022)
    environment.keep(environment.COMMANDS)
    handle_signals(interrupt)
    try:
        importlib.import_module(f"server.{command}").main(words)
    except (Failed, OSError, Interrupted) as failure:
        complain(failure)
        sys.exit(getattr(failure, "code", 1))
    except KeyboardInterrupt:
        sys.exit(130)


main(*sys.argv[1:])
