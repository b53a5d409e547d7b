"""_("Starts and reloads the site for the init script and for systemd, as the site's user.")"""

import subprocess
from contextlib import suppress
from xmlrpc.client import Error

from . import health
from .commands import Failed
from .facts import GROUP

BIN = health.CODE / "venv" / "bin"
#: A supervisord that hangs would let supervisorctl wait for ever.
UPDATE_SECONDS, ROLLING_RESTART_SECONDS = 120, 300


def main(words):
    """_("The word is launch, start or reload.")"""
    {"launch": launch, "start": start, "reload": reload}[words[0]]()


def launch():
    """_("Starts supervisord in the background.")"""
    #: supervisord could not write over one that root left.
    (health.VAR / "supervisord.pid").unlink(missing_ok=True)
    command = (BIN / "supervisord", "-c", health.CONFIG)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(
            _py("it did not start with {config}: {reason}"),
            config=health.CONFIG,
            reason=health.last_words(done.stderr),
        )
    health.wait()


def start():
    """_("Gives what has failed or was stopped under a supervisord that runs another try.")"""
    for program in health.every_program():
        failed = program["statename"] == "FATAL"
        if failed or health.is_site(program) and program["statename"] != "RUNNING":
            #: It may have been started meanwhile.
            with suppress(Error):
                health.supervisor().startProcess(health.name(program), False)
    health.wait()


def reload():
    """_("Reads the config again and replaces the masters one after the other: meanwhile the others serve.")"""
    supervisorctl(
        ("update",),
        UPDATE_SECONDS,
        _py("it did not apply {config}: the logs in {folder} tell why."),
    )
    supervisorctl(
        ("rolling_restart", GROUP),
        ROLLING_RESTART_SECONDS,
        _py("{group} did not start again: the logs in {folder} tell why."),
    )
    health.wait()


def supervisorctl(words, seconds, failure):
    command = (BIN / "supervisorctl", "-c", health.CONFIG, *words)
    try:
        subprocess.run(command, timeout=seconds, check=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        raise Failed(
            failure,
            config=health.CONFIG,
            group=GROUP,
            folder=health.LOGS,
        ) from None
