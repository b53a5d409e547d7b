"""_("An event listener of supervisord's: tells ADMINS what died and what is back, and sends what waits in var/mails. Protocol: supervisord.org/events.html")"""

import json
import sys
import time
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from xmlrpc.client import Error

from . import mail_sender, mails, rpc
from .commands import Failed

VAR = mail_sender.VAR.resolve()
#: What was told, for the alerts that come after these
KNOWN = VAR / "alerts.json"
#: Whoever has run for so many seconds is back.
BACK_SECONDS = 10
#: After a mail server that takes nothing, the next try
RETRY_SECONDS = 60


def main(words):
    alerts = Alerts()
    #: supervisord ends it like this.
    with suppress(KeyboardInterrupt):
        for _ in events():
            alerts.look()
            alerts.tries(mail_sender.send_waiting)


def events():
    """_("Each tells to look; which one it is does not matter. They end with supervisord.")"""
    while True:
        sys.stdout.write("READY\n")
        sys.stdout.flush()
        header = dict(word.split(":") for word in sys.stdin.readline().split())
        if not header:
            return
        sys.stdin.read(int(header["len"]))
        yield
        sys.stdout.write("RESULT 2\nOK")


class Alerts:
    """_("Looks at what is, not at what happened: nothing is missed while it restarts itself.")"""

    def __init__(self):
        #: By name: since when it is dead, whether that was told, and when one of its deaths was told last
        self.known = {}
        with suppress(OSError, ValueError):
            self.known = json.loads(KNOWN.read_text())
        self.next_try = 0

    def look(self):
        try:
            programs = rpc.supervisor(VAR).getAllProcessInfo()
        except (OSError, HTTPException, Error):
            #: It is on its way up or down.
            return
        before = json.dumps(self.known)
        died = [program for program in programs if self.has_died(program)]
        back = [program for program in programs if self.is_back(program)]
        if died and self.tell(_py("{names}: dead"), died, self.death):
            for program in died:
                now = {"told": True, "mailed": program["now"]}
                self.known[rpc.name(program)].update(now)
        if back and self.tell(_py("{names}: runs again"), back, self.life):
            for program in back:
                self.known[rpc.name(program)]["since"] = 0
        if (now := json.dumps(self.known)) != before:
            with suppress(OSError):
                new = KNOWN.with_suffix(".new")
                new.write_text(now)
                new.replace(KNOWN)

    def has_died(self, program):
        """_("Whether that is to be told now.")"""
        if program["statename"] != "FATAL":
            return False
        new = {"since": 0, "told": False, "mailed": 0}
        known = self.known.setdefault(rpc.name(program), new)
        if not known["since"]:
            known.update(since=program["now"], told=False)
        long_ago = program["now"] - known["mailed"] >= mail_sender.HOUR
        return long_ago and not known["told"]

    def is_back(self, program):
        known = self.known.get(rpc.name(program), {"since": 0})
        runs = program["statename"] == "RUNNING"
        if not (known["since"] and runs):
            return False
        if program["now"] - program["start"] < BACK_SECONDS:
            return False
        if not known["told"]:
            known["since"] = 0
        return known["told"]

    def tell(self, subject, programs, describe):
        """_("Returns whether it could be.")"""
        subject = subject.format(names=", ".join(map(rpc.name, programs)))
        text = "\n\n\n".join(map(describe, programs))
        try:
            mails.put(VAR, subject, text)
        except OSError:
            #: A full disk kills programs, too: then it is sent without being written.
            return self.tries(mail_sender.send_now, subject, text)
        return True

    def death(self, program):
        """_("The description has the time of the next try: deploy/supervisor_plugin/retries.py.")"""
        name = rpc.name(program)
        since = mails.shown(self.known[name]["since"])
        log = Path(program["stderr_logfile"] or program["stdout_logfile"]).resolve()
        said = _py("{name} is dead since {time}: {reason}")
        said = said.format(name=name, time=since, reason=program["description"])
        title = _py("The last lines of {log}:")
        return f"{said}\n\n{title.format(log=log)}\n\n{mails.tail(log)}"

    def life(self, program):
        name = rpc.name(program)
        text = _py("{name} runs since {start}; it was dead since {time}.")
        return text.format(
            name=name,
            start=mails.shown(program["start"]),
            time=mails.shown(self.known[name]["since"]),
        )

    def tries(self, send, *words):
        """_("Returns whether it was sent.")"""
        if time.monotonic() < self.next_try:
            return False
        try:
            send(*words)
        except (Failed, LookupError, OSError, ValueError) as failure:
            mail_sender.log(str(failure))
            self.next_try = time.monotonic() + RETRY_SECONDS
            return False
        return True
