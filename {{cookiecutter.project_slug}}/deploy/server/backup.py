"""_("Copies the site's data while the site goes on, and keeps the copies of a week.")"""

import os
import re
import shutil
import time
from contextlib import suppress

from . import mails
from .commands import Failed, lock, run, say, step
from .database import FILE
from .options import Parser
from .releases import serving
from .site_folder import own_site, same_files
from .site_user import SiteUser

PROGRAM = "deploy/backup.sh"
#: The copies of as many days stay.
KEPT_DAYS = 7
#: In var/: a line for each copy; and what is there after one that failed
LOG, FAILED = "log/backup.log", "backup.failed"
DAY = re.compile(r"\d{4}-\d\d-\d\d")


def main(words):
    text = _py("Copies the data of the site on this server into a folder of var/backups; the site goes on.")
    Parser(PROGRAM, text).parse(words)
    site = own_site()
    site.user = SiteUser(site.var)
    #: The copies hold secrets: they are for the site's user alone.
    os.umask(0o077)
    try:
        copy = copy_data(site)
    except Failed:
        send_mails(site)
        raise
    say(_py("The copy is {copy}"), copy=copy)


def copy_data(site):
    #: Root's copies would be in the way of the next night's.
    with site.user.touches_files():
        lock(
            site.var / "backup.lock",
            _py("Another copy is being made in {folder}: wait until it has ended."),
            folder=site.backups,
        )
    try:
        with step(_py("Copying the data")):
            copy = make_copy(site)
    except Failed as failure:
        with site.user.touches_files():
            note(site, failure)
            tell_of_failure(site, failure)
        raise
    with site.user.touches_files():
        note(site, copy)
        tell_of_success(site, copy)
    return copy


def make_copy(site):
    """_("It gets its name when it is whole; the older ones go last.")"""
    new, user = site.backups / "unfinished", site.user
    try:
        with user.touches_files():
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir(parents=True)
        serving(site).database.copy(new / FILE)
        with user.touches_files():
            if site.media.exists():
                same_files(site.media, new / "media", shutil.copy2)
            shutil.copyfile(site.path / ".env", new / "env")
            copy = new.rename(new.with_name(time.strftime("%Y-%m-%d-%H%M%S")))
            remove_old(site)
    except (OSError, Failed) as error:
        text = _py("The data of {folder} could not be copied ({reason}). The copies that are there stay.")
        raise Failed(text, folder=site.path, reason=error) from None
    finally:
        with user.touches_files():
            shutil.rmtree(new, ignore_errors=True)
    return copy


def copies(site):
    """_("From the oldest to the newest; those that deploy/restore.sh has replaced too.")"""
    found = site.backups.iterdir() if site.backups.exists() else ()
    return sorted((path for path in found if DAY.search(path.name)), key=moment)


def moment(copy):
    return copy.name[DAY.search(copy.name).start() :]


def day(copy):
    return DAY.search(copy.name)[0]


def remove_old(site):
    kept = sorted({day(copy) for copy in copies(site)})[-KEPT_DAYS:]
    for copy in copies(site):
        if day(copy) not in kept:
            shutil.rmtree(copy) if copy.is_dir() else copy.unlink()


def note(site, text):
    """_("One line a day: it needs no rotation.")"""
    with suppress(OSError), (site.var / LOG).open("a") as log:
        log.write(f"{mails.shown(time.time())} {text}\n")


def tell_of_failure(site, failure):
    """_("ADMINS get it by mail, once an hour at most; and once when a copy is made again.")"""
    last = "-"
    with suppress(OSError):
        (site.var / FAILED).touch()
        [last] = copies(site)[-1:] or [last]
    with suppress(OSError):
        said = _py("The last copy: {copy}")
        said = f"{failure}\n\n{said.format(copy=last)}"
        text = f"{said}\n\n{mails.tail(site.var / LOG)}"
        mails.put(site.var, _py("No copy of the data"), text, "backup")


def tell_of_success(site, copy):
    with suppress(OSError):
        (site.var / FAILED).unlink()
        text = _py("The copy is {copy}")
        subject = _py("The data are copied again")
        mails.put(site.var, subject, text.format(copy=copy))


def send_mails(site):
    """_("At once, for supervisord may not run; what cannot be sent waits for it.")"""
    current = site.current
    command = (current / "venv/bin/python", current / "deploy/server", "mail_sender")
    with suppress(Failed, OSError), step(_py("Telling ADMINS")):
        run(*command, **site.user.options())
