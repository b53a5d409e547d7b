"""_("The mails to ADMINS. Whoever has one to send puts it into var/mails, which takes no time; deploy/server/mail_sender.py sends it.")"""

import os
import threading
import time
from contextlib import suppress

#: Where they wait, in var/
FOLDER = "mails"
#: Bytes at the end of a log in which its last lines are looked for, and how many of these are sent
TAIL_BYTES, TAIL_LINES = 64 * 1024, 20


def put(var, subject, text, once=None):
    """_("Writes a mail into its folder. One with the name once waits there a single time: when it comes again, that is counted.")"""
    folder = var / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    mail = folder / (once or f"{time.time_ns()}-{os.getpid()}")
    if mail.exists():
        with again(mail).open("ab") as dots:
            dots.write(b".")
        return
    #: What begins with a dot is no mail: half of one is never sent.
    new = folder / f".{mail.name}.{os.getpid()}-{threading.get_ident()}"
    new.write_text(f"{' '.join(subject.split())}\n{text}\n", "utf-8", "replace")
    new.replace(mail)


def again(mail):
    """_("The file with a dot for each time that this mail has come again.")"""
    return mail.with_name(f".{mail.name}.again")


def tail(log):
    """_("The last lines of a log, which may be of any program; empty where there is none.")"""
    lines = []
    if os.path.isfile(log):
        with suppress(OSError), open(log, "rb") as file:
            file.seek(max(0, os.path.getsize(log) - TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    return "\n".join(lines[-TAIL_LINES:])


def shown(seconds):
    return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(seconds))
