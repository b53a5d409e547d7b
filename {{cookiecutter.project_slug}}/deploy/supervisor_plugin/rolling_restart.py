"""_("A command of supervisorctl that restarts a group while it goes on serving.")"""

import fcntl
import os
import re
import signal
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from xmlrpc.client import Fault

from server.facts import GROUP
from supervisor.options import make_namespec
from supervisor.states import RUNNING_STATES, ProcessStates
from supervisor.supervisorctl import ControllerPluginBase

from .plain_commands import PlainCommands, fail, say

#: A process may take this long to become ready once supervisord calls it RUNNING.
READY_SECONDS = 60
#: The code that is current, and on a server the link that leads to it
CODE = Path(__file__).resolve().parents[2]
CURRENT = CODE.parents[1] / "current"
VAR = (CODE / "var").resolve()


class DidNotComeUp(Exception):
    """_("A process that was started does not run, or is not ready.")"""


class RollingRestart(ControllerPluginBase):
    """_("supervisorctl makes one of it, and finds the command by its name.")"""

    def __init__(self, controller):
        super().__init__(controller)
        #: supervisorctl asks every plugin for help; the first would say that there is none.
        controller.options.plugins[0].help_rolling_restart = self.help_rolling_restart
        PlainCommands(controller)

    def do_help(self, arg):
        if not arg:
            super().do_help(arg)

    def help_rolling_restart(self):
        self.say(
            "rolling_restart <gname> [...]|all\t%s",
            _py("Restart the processes of a group, or of all that run the site's code, one after the other; wait for each"),
        )

    def do_rolling_restart(self, arg):
        if not self.ctl.upcheck():
            return
        self.supervisor = self.ctl.get_supervisor()
        processes = self.supervisor.getAllProcessInfo()
        groups = sorted({process["group"] for process in processes})
        names = [name.removesuffix(":*") for name in arg.split()]
        unknown = sorted({*names} - {*groups})
        if names == ["all"]:
            self.restart_site(processes)
        elif not names:
            self.fail(_py("Name a group: %s."), ", ".join(groups))
        elif unknown:
            text = _py("There is no group %s; there are: %s.")
            self.fail(text, ", ".join(unknown), ", ".join(groups))
        else:
            self.restart([each for each in processes if each["group"] in names])

    def restart_site(self, processes):
        """_("All that runs its code. Beside gunicorn, what was stopped or has ended stays so, and what did not run may fail again.")"""
        #: As the config is now; one that is refused is said elsewhere.
        with suppress(Fault):
            self.supervisor.reloadConfig()
        configs = self.supervisor.getAllConfigInfo()
        codes = {(each["group"], each["name"]) for each in configs if runs_code(each)}
        tried = (*RUNNING_STATES, ProcessStates.FATAL)
        beside = [
            each
            for each in processes
            if (each["group"], each["name"]) in codes
            and each["state"] in tried
            and not is_gunicorn(each)
        ]
        gunicorn = filter(is_gunicorn, processes)
        may_fail = [each for each in beside if not runs(each)]
        self.restart([*gunicorn, *beside], may_fail)

    @contextmanager
    def only_one(self):
        """_("The folder of supervisord's socket is locked until this ends, even by kill -9.")"""
        path = self.ctl.options.serverurl.removeprefix("unix://")
        if not os.path.exists(path):
            #: An http address: the folder is out of reach.
            yield
            return
        folder = os.open(os.path.dirname(path), os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        finally:
            os.close(folder)

    def restart(self, processes, may_fail=()):
        try:
            with self.only_one():
                self.restart_each(processes, may_fail)
        except BlockingIOError:
            self.fail(_py("Another rolling_restart is under way: wait for its end."))

    def restart_each(self, processes, may_fail):
        #: gunicorn comes first: where it fails, the rest still runs the old code. Of each, what does not run comes first: the more serve when one that does is stopped.
        processes.sort(key=lambda each: (not is_gunicorn(each), runs(each)))
        #: A release that is interrupted ends this between two processes: none stays stopped.
        ends = []
        signal.signal(signal.SIGTERM, lambda *_: ends.append(True))
        reporting = {name.partition(":")[0] for name in self.ready_processes()}
        for number, process in enumerate(processes, start=1):
            name = make_namespec(process["group"], process["name"])
            if ends:
                self.fail(_py("Interrupted before %s."), name)
                return
            self.say(_py("%s: restarting (%d of %d)"), name, number, len(processes))
            try:
                self.stop(name)
                self.start(name, must_report=process["group"] in reporting)
            except DidNotComeUp:
                if process in may_fail:
                    self.say(_py("%s does not run, as before."), name)
                    continue
                text = _py("%s did not come up: %s tells why. The rest was left as it is.")
                log = process["stderr_logfile"] or process["stdout_logfile"]
                self.fail(text, name, log)
                return
            except KeyboardInterrupt:
                text = _py("Interrupted. If it is stopped: supervisorctl start %s")
                self.fail(text, name)
                return
            self.say(_py("%s: running"), name)

    def stop(self, name):
        if self.supervisor.getProcessInfo(name)["state"] in RUNNING_STATES:
            self.supervisor.stopProcess(name)

    def start(self, name, must_report):
        """_("Returns when the process is RUNNING, and ready where its group reports that.")"""
        try:
            self.supervisor.startProcess(name)
        except Fault as fault:
            raise DidNotComeUp from fault
        pid = self.supervisor.getProcessInfo(name)["pid"]
        deadline = time.monotonic() + READY_SECONDS
        while must_report and name not in self.ready_processes():
            now = self.supervisor.getProcessInfo(name)
            if now["pid"] != pid or time.monotonic() > deadline:
                raise DidNotComeUp
            time.sleep(0.1)

    def ready_processes(self):
        return self.ctl.get_server_proxy("supervisor_plugin").getReadyProcesses()

    def say(self, message, *values):
        say(self.ctl, message % values)

    def fail(self, message, *values):
        fail(self.ctl, message % values)


def is_gunicorn(process):
    return process["group"] == GROUP


def runs(process):
    return process["state"] == ProcessStates.RUNNING


def runs_code(config):
    """_("A cache beside the site, say, does not: it need not restart for new code; nor what works in var/.")"""
    folder = Path(config["directory"]).resolve()
    code = f"({re.escape(str(CODE))}|{re.escape(str(CURRENT))})(?![\\w.-])"
    said = f"{config['directory']} {config['command']}"
    return folder == CODE or folder != VAR and re.search(code, said)
