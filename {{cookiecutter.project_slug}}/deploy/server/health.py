"""_("Starts, reloads and examines the site, as its user: for the init script, systemd and the other commands. Exit codes: LSB Core 5.0, 22.2.")"""

import io
import subprocess
import time
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from xmlrpc.client import Error, Fault

from supervisor.options import ServerOptions

from .commands import Failed, say
from .facts import DOMAIN, GROUP
from .probes import ask
from .rpc import name, supervisor
from .site_folder import say_version
from .supervisord_conf import SupervisordConf, shown

#: Links of this path stay: through current, the sentences below name no single release.
CODE = Path(__file__).parents[2]
CONFIG = CODE / "deploy" / "supervisord.conf"
BIN = CODE / "venv" / "bin"
VAR = (CODE / "var").resolve()
LOGS = VAR / "log"
#: The site may take this long to come up.
START_SECONDS = 60
#: A supervisord that hangs would let supervisorctl wait for ever; a worker may take its time to end its task.
RELOAD_SECONDS = 3600
#: Exit codes: an error in the config; a state that cannot be told
MISCONFIGURED, UNKNOWN = 6, 4


def main(words):
    actions = (config, launch, start, reload, status, wait)
    {action.__name__: action for action in actions}[words[0]]()


def config():
    """_("Has supervisord's own code read the config; nothing is started.")"""
    options = ServerOptions()
    options.stderr = io.StringIO()
    try:
        options.realize(["-c", str(CONFIG)])
    except SystemExit:
        text = _py("it refuses {config}: {reason}")
        raise failed(
            text, MISCONFIGURED, reason=last_words(options.stderr.getvalue())
        ) from None
    #: One that runs knows which addresses are its own: deploy/supervisor_plugin/config_check.py.
    try:
        supervisor(VAR).reloadConfig()
    except Fault as fault:
        raise failed("{reason}", MISCONFIGURED, reason=fault.faultString) from None
    except (OSError, HTTPException, Error):
        return


def launch():
    """_("Starts supervisord in the background.")"""
    #: supervisord could not write over one that root left.
    (VAR / "supervisord.pid").unlink(missing_ok=True)
    command = (BIN / "supervisord", "-c", CONFIG)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        text = _py("it did not start with {config}: {reason}")
        raise failed(text, reason=last_words(done.stderr))
    wait()


def start():
    """_("Gives what has failed or was stopped another try.")"""
    for program in every_program():
        state = program["statename"]
        if state == "FATAL" or is_site(program) and state != "RUNNING":
            #: It may have been started meanwhile.
            with suppress(Error):
                supervisor(VAR).startProcess(name(program), False)
    wait()


def reload():
    """_("Reads the config again, and replaces the masters and what else runs the code one after the other: meanwhile the others serve.")"""
    every_program()
    for words, text in (
        (["update"], UPDATE_FAILED),
        (["rolling_restart", "all"], RESTART_FAILED),
    ):
        command = (BIN / "supervisorctl", "-c", CONFIG, *words)
        try:
            subprocess.run(command, timeout=RELOAD_SECONDS, check=True)
        except subprocess.SubprocessError:
            raise failed(text) from None
    wait()


UPDATE_FAILED = _py("it did not apply {config}: the logs in {logs} tell why.")
RESTART_FAILED = _py("not all has started again: the logs in {logs} tell why.")


def status():
    """_("Shows every program, as supervisorctl does. A failure says that one that should run does not, or that the site gives no page.")"""
    programs = every_program()
    for program in programs:
        say(f"{name(program):<32} {program['statename']:<9} {program['description']}")
    say_version(CODE)
    if is_settled(programs):
        require_running(programs)
    else:
        say(_py("Waiting for the site"))
    require_answer()


def wait():
    """_("Waits until the programs have started, and asks the site for an answer: gunicorn can run and each of its pages fail.")"""
    say(_py("Waiting for the site"), end=" ")
    deadline = time.monotonic() + START_SECONDS
    while not is_settled(programs := every_program()) and time.monotonic() < deadline:
        say(".", end="")
        time.sleep(0.5)
    say("")
    require_running(programs)
    require_answer()


def require_answer():
    address = SupervisordConf(CODE).site
    with suppress(OSError):
        if ask(address, "/healthz", DOMAIN)[0] < 500:
            return
    text = _py("http://{address}/healthz gives an error or nothing: the logs in {logs} tell why.")
    raise failed(text, address=shown(address))


def every_program():
    try:
        return supervisor(VAR).getAllProcessInfo()
    except (OSError, HTTPException, Error):
        text = _py("it runs, but does not answer: the logs in {logs} tell why.")
        raise failed(text, UNKNOWN) from None


def is_site(program):
    return program["group"] == GROUP


def states(programs):
    """_("By name, of those that count: a program beside the site may have ended, or wait to be started.")"""
    return {
        name(program): program["statename"]
        for program in programs
        if is_site(program) or program["statename"] not in ("STOPPED", "EXITED")
    }


def is_settled(programs):
    on_the_way = {"STARTING", "BACKOFF", "STOPPING", "STOPPED"}
    return on_the_way.isdisjoint(states(programs).values())


def require_running(programs):
    found = [" ".join(each) for each in states(programs).items()]
    if found := [each for each in found if not each.endswith(" RUNNING")]:
        text = _py("not every program runs ({states}): the logs in {logs} tell why.")
        raise failed(text, states=", ".join(found))


def last_words(said):
    """_("Why supervisord ends: its last two lines, but for a hint at its help.")"""
    lines = [line for line in said.splitlines() if not line.startswith("For help")]
    return " ".join(lines[-2:])


def failed(text, code=1, **values):
    return Failed(text, code, config=CONFIG, logs=LOGS, **values)
