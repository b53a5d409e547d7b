"""_("Runs one of the commands: python3 deploy/server COMMAND [WORD]...")"""

import importlib
import os
import sys
from pathlib import Path

#: Python was given this folder: its modules are imported as those of a package. Links stay: the config's paths go through current.
sys.path[0] = str(Path(__file__).absolute().parents[1])

from server import environment
from server.commands import Failed, Interrupted, complain, raise_once


def main(command, *words):
    os.umask(0o022)
    environment.keep(environment.COMMANDS)
    raise_once(KeyboardInterrupt)
    try:
        importlib.import_module(f"server.{command}").main(words)
    except (Failed, OSError, Interrupted) as failure:
        complain(failure)
        sys.exit(getattr(failure, "code", 1))
    except KeyboardInterrupt:
        sys.exit(130)


main(*sys.argv[1:])
