"""_("Tells whether the site is well: asked by the init script and by deploy/release.sh, as the site's user. Exit codes: LSB Core 5.0, 22.2.")"""

import io
import socket
import time
from http.client import HTTPException
from pathlib import Path
from xmlrpc.client import Error, ServerProxy

from supervisor.options import ServerOptions
from supervisor.xmlrpc import SupervisorTransport

from .commands import Failed, say
from .facts import GROUP
from .probes import ask
from .supervisord_conf import SupervisordConf, shown

#: Links of this path stay: through current, the sentences below name no single release.
CODE = Path(__file__).parents[2]
CONFIG = CODE / "deploy" / "supervisord.conf"
VAR = (CODE / "var").resolve()
LOGS = VAR / "log"
#: supervisord may take this long to answer, and the site to come up.
ANSWER_SECONDS, START_SECONDS = 20, 60
#: Exit codes: an error in the config; a state that cannot be told
MISCONFIGURED, UNKNOWN = 6, 4


def main(words):
    """_("The word is config or status.")"""
    {"config": config, "status": status}[words[0]]()


def config():
    """_("Has supervisord's own code read the config; nothing is started.")"""
    options = ServerOptions()
    options.stderr = io.StringIO()
    try:
        options.realize(["-c", str(CONFIG)])
    except SystemExit:
        raise Failed(
            _py("it refuses {config}: {reason}"),
            MISCONFIGURED,
            config=CONFIG,
            reason=last_words(options.stderr.getvalue()),
        ) from None


def last_words(said):
    """_("Why supervisord ends: its last two lines, but for a hint at its help.")"""
    lines = [line for line in said.splitlines() if not line.startswith("For help")]
    return " ".join(lines[-2:])


def status():
    """_("Shows every program, as supervisorctl does. A failure says that one that should run does not.")"""
    programs = every_program()
    for program in programs:
        say(f"{name(program):<32} {program['statename']:<9} {program['description']}")
    if is_settled(programs):
        require_running(programs)


def wait():
    """_("Waits until the programs have started, and asks the site for an answer: gunicorn can run and each of its pages fail.")"""
    say(_py("Waiting for the site"), end=" ")
    deadline = time.monotonic() + START_SECONDS
    while not is_settled(programs := every_program()) and time.monotonic() < deadline:
        say(".", end="")
        time.sleep(0.5)
    say("")
    require_running(programs)
    address = SupervisordConf(CODE).site
    try:
        well = ask(address, "/healthz", "localhost")[0] < 500
    except OSError:
        well = False
    if not well:
        raise Failed(
            _py("http://{address}/healthz gives an error or nothing: the logs in {folder} tell why."),
            address=shown(address),
            folder=LOGS,
        )


def supervisor():
    """_("supervisord's commands, through its socket.")"""
    transport = SupervisorTransport(serverurl=f"unix://{VAR}/ctl.sock")
    return ServerProxy("http://127.0.0.1", transport).supervisor


def every_program():
    socket.setdefaulttimeout(ANSWER_SECONDS)
    try:
        return supervisor().getAllProcessInfo()
    except (OSError, HTTPException, Error):
        raise Failed(
            _py("it runs, but does not answer: the logs in {folder} tell why."),
            UNKNOWN,
            folder=LOGS,
        ) from None


def name(program):
    return f"{program['group']}:{program['name']}"


def is_site(program):
    return program["group"] == GROUP


def states(programs):
    """_("Those that count: a program beside the site may have ended, or wait to be started.")"""
    return {
        program["statename"]
        for program in programs
        if is_site(program) or program["statename"] not in ("STOPPED", "EXITED")
    }


def is_settled(programs):
    return not states(programs) & {"STARTING", "BACKOFF", "STOPPING", "STOPPED"}


def require_running(programs):
    found = states(programs)
    if found != {"RUNNING"}:
        raise Failed(
            _py("not every program runs ({states}): the logs in {folder} tell why."),
            states=" ".join(sorted(found)),
            folder=LOGS,
        )
