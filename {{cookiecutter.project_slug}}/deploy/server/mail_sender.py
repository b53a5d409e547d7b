"""_("Sends the mails of var/mails to ADMINS, as .env says. It reads no settings of Django's: it works with the site's code broken.")"""

import fcntl
import io
import os
import re
import smtplib
import ssl
import sys
import time
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path

from . import mails
from .commands import Failed
from .facts import DOMAIN

CODE = Path(__file__).parents[2]
ENV = CODE / ".env"
VAR = CODE / "var"
FOLDER = VAR / mails.FOLDER
#: What this needs of .env
NAMES = "EMAIL_URL|ADMINS|DEFAULT_FROM_EMAIL"
LINE = re.compile(rf"^[ \t]*((?:export )?(?:{NAMES})=.*)", re.MULTILINE)
#: Seconds that a mail server may take for each answer, and all mails together before the others wait for the next time
TIMEOUT, PATIENCE = 10, 30
#: The same error, or the death of the same program, is told at most once in so many seconds. What could not be sent for a day is dropped, and so is what is more than this.
HOUR, DAY, MOST = 3600, 86_400, 100


def main(words):
    send_waiting()


def send_waiting():
    """_("Sends those that are due. Those that cannot be sent stay for the next time.")"""
    with suppress(FileNotFoundError, BlockingIOError), alone():
        drop_old()
        if due := [mail for mail in waiting() if not was_sent(mail)]:
            try:
                send_each(due)
            except OSError as error:
                text = _py("The mails in {folder} have to wait, for EMAIL_URL of {env} leads to no server that takes them ({reason}).")
                raise Failed(text, folder=FOLDER, env=ENV, reason=error) from None


@contextmanager
def alone():
    """_("BlockingIOError: another is sending them.")"""
    folder = os.open(FOLDER, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(folder)


def waiting():
    """_("From the oldest to the newest.")"""
    found = [path for path in FOLDER.iterdir() if not path.name.startswith(".")]
    return sorted(found, key=age, reverse=True)


def age(path):
    return time.time() - path.stat().st_mtime


def drop_old():
    found = waiting()
    kept = [mail for mail in found if age(mail) < DAY][-MOST:]
    for mail in [mail for mail in found if mail not in kept]:
        subject, _, _ = read(mail)
        log(_py("Dropped, for it could not be sent: {mail}"), mail=subject)
        mail.unlink()
    for path in FOLDER.glob(".*"):
        if age(path) > DAY:
            path.unlink()


def read(mail):
    """_("Its subject and its text, with a line end between.")"""
    return mail.read_text("utf-8", "replace").partition("\n")


def sent(mail):
    """_("The file whose time is that of the last mail of this name.")"""
    return mail.with_name(f".{mail.name}.sent")


def was_sent(mail):
    """_("Whether one of this name went within the hour.")"""
    return sent(mail).exists() and age(sent(mail)) < HOUR


def send_each(due):
    refused, deadline = None, time.monotonic() + PATIENCE
    with delivery() as send:
        for mail in due:
            if time.monotonic() > deadline:
                break
            subject, _, text = read(mail)
            with suppress(FileNotFoundError):
                sentence = _py("The same has come again since, {number} times.")
                number = mails.again(mail).stat().st_size
                text = f"{sentence.format(number=number)}\n\n{text}"
            try:
                send(subject, text)
            except smtplib.SMTPResponseException as error:
                #: The server does not want this one; it may take the others.
                refused = error
                continue
            mails.again(mail).unlink(missing_ok=True)
            mail.unlink()
            sent(mail).touch()
    if refused:
        raise refused


def send_now(subject, text):
    with delivery() as send:
        send(subject, text)


@contextmanager
def delivery():
    """_("Gives the function that sends a subject and a text, as EMAIL_URL says; all that is not SMTP is written to the log.")"""
    config, admins, sender = read_env()
    if ".smtp." not in config["EMAIL_BACKEND"]:
        yield lambda subject, text: log(f"[{DOMAIN}] {subject}\n{printable(text)}")
        return
    if not admins:
        raise OSError(_py("ADMINS is empty"))

    def send(subject, text):
        message = EmailMessage()
        message["Subject"] = f"[{DOMAIN}] {subject}"
        message["From"], message["To"] = sender or admins, admins
        message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=DOMAIN)
        #: Nobody's holiday note answers it.
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(printable(text))
        server.send_message(message)

    with connection(config) as server:
        yield send


def printable(text):
    """_("Without what a terminal would obey, or a mail cannot hold.")"""
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else "\ufffd"
        for letter in text
    )


def connection(config):
    address = config["EMAIL_HOST"], config["EMAIL_PORT"] or 0
    tls = ssl.create_default_context
    if config.get("EMAIL_USE_SSL"):
        server = smtplib.SMTP_SSL(*address, timeout=TIMEOUT, context=tls())
    else:
        server = smtplib.SMTP(*address, timeout=TIMEOUT)
    try:
        if config.get("EMAIL_USE_TLS"):
            server.starttls(context=tls())
        if config["EMAIL_HOST_USER"]:
            server.login(config["EMAIL_HOST_USER"], config["EMAIL_HOST_PASSWORD"])
    except BaseException:
        server.close()
        raise
    return server


def read_env():
    """_("EMAIL_URL as Django's settings, ADMINS and the sender: by the rules of django-environ, which the settings read it with.")"""
    #: Imported here: it takes memory, and most days there is nothing to send.
    import environ

    text = ENV.read_text("utf-8-sig", errors="replace") if ENV.exists() else ""
    env = type("Env", (environ.Env,), {"ENVIRON": {}})
    env.read_env(io.StringIO("\n".join(LINE.findall(text))))
    url, *others = map(env.ENVIRON.get, NAMES.split("|"))
    try:
        return env.email_url_config(url or "consolemail:"), *others
    except (ValueError, environ.ImproperlyConfigured):
        raise OSError(_py("it is no such address")) from None


def log(text, **values):
    text = text.format(**values) if values else text
    print(mails.shown(time.time()), text, file=sys.stderr, flush=True)
