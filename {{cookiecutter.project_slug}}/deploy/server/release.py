"""_("Puts the code of this folder into service on a server: the steps, in their order.")"""

import filecmp
import os
import signal
import time
from pathlib import Path

from . import preflight
from .commands import Failed, complain, say, step
from .facts import FOLDER
from .options import Parser, folder
from .releases import CODE, Release
from .service import Service, installed_as
from .site_folder import MIGRATIONS_STAY, SiteFolder, target
from .supervisord_conf import SupervisordConf

PROGRAM = "deploy/release.sh"
#: Free space for a venv, and twice the static files
NEEDED_MEGABYTES = 150


def main(words):
    began = time.monotonic()
    options = parse(words)
    #: The site goes first.
    os.nice(5)
    handle_signals(interrupt)
    serves = release(options)
    text = _py("{release} is in place ({seconds} s).")
    say(text, release=serves, seconds=round(time.monotonic() - began))


def parse(words):
    parser = Parser(
        PROGRAM,
        _py("Puts the code of this folder into service on a server, without losing a request."),
    )
    parser.flag(
        "--rollback",
        help=_py("put the previous release into service again"),
    )
    text = _py("the folder of the site, by default") + f" {FOLDER}"
    parser.value("--into", _py("DIR"), text, Path(FOLDER), folder)
    parser.packages()
    return parser.parse(words)


def release(options):
    """_("Makes a release or goes back, and returns the name of the one that serves. What fails is undone.")"""
    path = options.into
    if CODE in (path, *path.parents):
        text = _py("{folder} holds the code itself: keep the code elsewhere, or name another folder (--into).")
        raise Failed(text, folder=path)
    #: A config that cannot be read is refused before anything is made.
    config = None if options.rollback else SupervisordConf(CODE)
    site = SiteFolder(path)
    site.prepare()
    site.clean_up()
    before = target(site.current)
    try:
        if options.rollback:
            roll_back(site)
        else:
            make_release(site, config, options)
    except (Failed, OSError) as failure:
        handle_signals(signal.SIG_IGN)
        complain(failure)
        site.clean_up()
        if before:
            raise Failed(_py("{release} serves as before."), release=before) from None
        raise Failed(_py("Nothing is in service yet.")) from None
    site.remove_old()
    return target(site.current)


def make_release(site, config, options):
    """_("Until the second migration, the site and its data stay untouched.")"""
    new = Release(site, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))
    require_same_addresses(site, config)
    needed = NEEDED_MEGABYTES + site.database_megabytes()
    preflight.require_space(site.path, needed, PROGRAM)
    site.begin(new.name)
    with step(_py("Copying the code")):
        new.copy_code()
        site.write_secrets(new)
    with step(_py("Making the venv, or taking the one that fits")):
        new.make_venv(options)
    with step(_py("Rehearsal: copying the database")):
        new.use_rehearsal()
    with step(_py("Rehearsal: checking the settings")):
        warnings = new.check()
    if warnings:
        say(warnings)
    with step(_py("Rehearsal: migrating the copy of the database")):
        new.manage("migrate", "--no-input")
    with step(_py("Rehearsal: collecting the static files")):
        new.manage("collectstatic", "--no-input")
    with step(_py("Rehearsal: asking for the home page")):
        new.ask_for_pages()
    with step(_py("Migrating the database")):
        new.use_var()
        new.manage("migrate", "--no-input")
    with step(_py("Publishing the static files")):
        new.publish_static_files()
    put_in_service(site, new)
    say_what_waits(site)


def roll_back(site):
    """_("The previous release is whole and was in service: it needs no rehearsal.")"""
    if not target(site.previous):
        text = _py("There is no previous release in {folder}: nothing to go back to.")
        raise Failed(text, folder=site.path)
    old = Release(site, target(site.previous))
    require_same_addresses(site, old.config)
    site.begin(old.name)
    put_in_service(site, old)
    say(MIGRATIONS_STAY)


def put_in_service(site, new):
    """_("A failure from here on makes clean_up() go back.")"""
    before = target(site.current)
    if site.is_running():
        with step(_py("Restarting gunicorn, one master after the other")):
            site.switch(new.name)
            site.restart_in_turn()
        with step(_py("Asking the site which release serves")):
            new.verify()
    else:
        site.switch(new.name)
    site.finish(before)
    say_what_remains(site, new, before)


def say_what_remains(site, new, before):
    config = "deploy/supervisord.conf"
    bin = site.current / "venv" / "bin"
    files = [site.releases / release / config for release in (before, new.name)]
    service = installed_as() if site.path == Path(FOLDER) else None
    if not site.is_running() and service:
        text = _py("supervisord does not run. To start it: {command}")
        say(text, command=f"service {service} start")
    elif not site.is_running():
        text = _py("supervisord does not run. To start it, as {user}: {command}")
        say(
            text,
            user=site.user.account.pw_name,
            command=f"{bin}/supervisord -c {site.current / config}",
        )
    elif before and not filecmp.cmp(*files, shallow=False):
        text = _py("{config} has changed, and supervisord reads it only when told. For its programs: {command} update. For all else, stop supervisord and start it again.")
        say(text, config=config, command=f"{bin}/supervisorctl")


def say_what_waits(site):
    """_("What install.sh would change: the user, the domain, and whatever else the service is made from.")"""
    name = installed_as()
    if os.geteuid() != 0 or site.path != Path(FOLDER) or name is None:
        return
    if outdated := Service(name).outdated():
        text = _py("Not in place yet: {files}. To change that: deploy/install.sh --service {name}")
        say(text, files=", ".join(map(str, outdated)), name=name)


def require_same_addresses(site, new):
    """_("supervisord takes its group's name and its addresses when it starts, and nginx is told by deploy/install.sh.")"""
    if not site.is_running():
        return
    try:
        same = SupervisordConf(site.current).addresses() == new.addresses()
    except Failed:
        same = False
    if not same:
        text = _py("The group or an address in {file} has changed, and a running supervisord keeps those that it has. Stop it ({stop}), run this again, and start it; on a server, deploy/install.sh starts it and tells nginx.")
        raise Failed(
            text, file=new.path, stop=f"{site.current}/venv/bin/supervisorctl shutdown"
        )


def handle_signals(handler):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)


def interrupt(number, frame):
    raise Failed(_py("It was interrupted."))
