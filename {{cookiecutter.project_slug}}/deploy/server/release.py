"""_("Puts the code of this folder into service on a server: the steps, in their order.")"""

import calendar
import filecmp
import os
import signal
import time
#% if cookiecutter.database == "postgresql"
from contextlib import ExitStack
#% endif
from pathlib import Path

#% if cookiecutter.tasks == "celery"
from . import code, preflight, tasks
#% else
from . import code, preflight
#% endif
from .commands import Failed, Interrupted, complain, on_signals, raise_once, say, step
from .facts import FOLDER
from .options import Parser, folder
from .releases import Release, serving
from .service import Service, installed_as
from .site_folder import CODE, MIGRATIONS_STAY, NAME, SiteFolder, say_version, target
from .site_user import SiteUser
from .supervisord_conf import SupervisordConf

PROGRAM = "deploy/release.sh"
#: Free space for a venv, and twice the static files
NEEDED_MEGABYTES = 150


def main(words):
    began = time.monotonic()
    options = parse(words)
    #: The site goes first.
    os.nice(5)
    raise_once(Interrupted(_py("It was interrupted.")))
    if options.list:
        site = SiteFolder(options.into)
        show_releases(site)
        say_version(site.current)
        return
    serves = release(options)
    text = _py("{release} is in place ({seconds} s).")
    say(text, release=serves, seconds=round(time.monotonic() - began))


def parse(words):
    parser = Parser(
        PROGRAM,
        _py("Puts the code of this folder into service on a server, without losing a request."),
    )
    parser.flag("--list", help=_py("show the releases that are kept"))
    text = _py("put this release into service again, or the one that served before")
    parser.value("--rollback", _py("NAME"), text, nargs="?", const="")
#% if cookiecutter.database == "postgresql"
    text = _py("rehearse on the tables without their rows, where the database is too large to copy")
    parser.flag("--rehearse-schema", help=text)
    parser.rehearsed()
#% endif
    text = _py("the folder of the site, by default") + f" {FOLDER}"
    parser.value("--into", _py("DIR"), text, Path(FOLDER), type=folder)
    parser.packages()
    return parser.parse(words)


def show_releases(site):
    #: It refuses with a sentence whoever may not read them.
    if site.var.is_dir():
        SiteUser(site.var)
    site.require_release()
    serves = target(site.current)
    roles = {site.before(serves): _py("--rollback goes there"), serves: _py("serves")}
    for name in site.names():
        seconds = calendar.timegm(time.strptime(name, NAME))
        made = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
        commit = site.releases / name / code.COMMIT
        sent = commit.read_text().strip() if commit.exists() else ""
        shown = (name, made, sent, roles.get(name, ""))
        say("  ".join(filter(None, shown)))


def release(options):
    """_("Makes a release or goes back, and returns the name of the one that serves. What fails is undone.")"""
    path = options.into
    if CODE in (path, *path.parents):
        text = _py("{folder} holds the code itself: keep the code elsewhere, or name another folder (--into).")
        raise Failed(text, folder=path)
    goes_back = options.rollback is not None
    #: A config that cannot be read is refused before anything is made.
    config = None if goes_back else SupervisordConf(CODE)
    site = SiteFolder(path)
    site.prepare()
    site.clean_up()
    before = target(site.current)
    old = chosen(site, options.rollback) if goes_back else None
    try:
        if old:
            roll_back(site, old)
        else:
            make_release(site, config, options)
    except (Failed, OSError, Interrupted) as failure:
        on_signals(signal.SIG_IGN)
        complain(failure)
        site.clean_up()
        raise what_serves(site, before) from None
    #: It is in place: what follows takes a moment, and is not worth a failure.
    on_signals(signal.SIG_IGN)
    say_what_remains(site, before)
    if old:
        say(MIGRATIONS_STAY)
    else:
        say_what_waits(site)
    site.remove_old()
    return target(site.current)


def chosen(site, name):
    """_("The release to go back to: the one of this name, or the one that served before.")"""
    site.require_release()
    serves, names = target(site.current), site.names()
    name = name or site.before(serves)
    if not name:
        text = _py("{serves} is the oldest release in {folder}: there is nothing to go back to.")
        raise Failed(text, serves=serves, folder=site.path)
    if name == serves:
        raise Failed(_py("{release} is the one that serves."), release=name)
    if name not in names:
        text = _py("There is no release {name} in {folder}; there are: {names}.")
        raise Failed(text, name=name, folder=site.path, names=", ".join(names))
    return Release(site, name)


def what_serves(site, before):
    """_("How a failure ends.")"""
    if not before:
        return Failed(_py("Nothing is in service yet."))
    if Release(site, before).answers():
        return Failed(_py("{release} serves as before."), release=before)
    text = _py("{release} stays in place, but the site does not answer: {command}")
    status = " ".join(map(str, site.supervisorctl("status")))
    return Failed(text, release=before, command=status)


def make_release(site, config, options):
    """_("Until the second migration, the site and its data stay untouched.")"""
    new = Release(site, time.strftime(NAME, time.gmtime()))
    require_same_addresses(site, config)
    needed = NEEDED_MEGABYTES
    if site.current.exists():
        needed += serving(site).database.megabytes()
    preflight.require_space(site.path, needed, PROGRAM)
    site.begin(new.name)
    names = code.files(CODE)
    with step(_py("Copying the code")):
        new.copy_code(names)
    site.write_secrets(new)
    with step(_py("Making the venv, or taking the one that fits")):
        new.make_venv(options)
#% if cookiecutter.database == "postgresql"
    with ExitStack() as copy:
        if options.rehearsed:
            new.use_rehearsal()
        else:
            with step(_py("Rehearsal: copying the database")):
                new.use_rehearsal()
                kind = new.database.rehearsal(options.rehearse_schema)
                copy.enter_context(kind)
        rehearse(site, new, options.rehearsed)
#% else
    with step(_py("Rehearsal: copying the database")):
        new.use_rehearsal()
        new.database.rehearse()
    rehearse(site, new)
#% endif
    with step(_py("Migrating the database")):
        new.use_var()
        new.manage("migrate", "--no-input")
    with step(_py("Publishing the static files")):
        new.publish_static_files()
    put_in_service(site, new)


#% if cookiecutter.database == "postgresql"
def rehearse(site, new, is_migrated):
    """_("What can be tried before it serves.")"""
#% else
def rehearse(site, new):
    """_("What can be tried before it serves.")"""
#% endif
    with step(_py("Rehearsal: checking the settings")):
        warnings = new.check()
        if service := service_of(site):
            service.require_nginx()
    for warning in warnings:
        say(warning)
#% if cookiecutter.database == "postgresql"
    if is_migrated:
        with step(_py("Rehearsal: asking the database for its migrations")):
            new.manage("migrate", "--check")
    else:
        rehearse_changes(site, new)
#% else
    rehearse_changes(site, new)
#% endif
    with step(_py("Rehearsal: collecting the static files")):
        new.manage("collectstatic", "--no-input")
#% if cookiecutter.database == "postgresql"
    if new.database.schema_only:
        text = _py("Not tried, as the copy has no rows: migrations that change rows, what the rows may refuse, and the home page.")
        say(text)
        return
#% endif
    with step(_py("Rehearsal: asking for the home page")):
        new.ask_for_pages()


def rehearse_changes(site, new):
    """_("What the release changes for the data and for what waits.")"""
    with step(_py("Rehearsal: migrating the copy of the database")):
        misfits = new.rehearse_migrations()
    for misfit in misfits:
        say(misfit)
#% if cookiecutter.tasks == "celery"
    with step(_py("Rehearsal: asking a worker for its tasks")):
        tasks.rehearse(new)
        misfits = tasks.misfits(new, serving(site)) if site.current.exists() else []
    for misfit in misfits:
        say(misfit)
#% endif


def roll_back(site, old):
    """_("It is whole and was in service: it needs no rehearsal.")"""
    require_same_addresses(site, old.config)
    site.begin()
    put_in_service(site, old)


def put_in_service(site, new):
    """_("A failure from here on makes clean_up() go back.")"""
    if site.is_running():
        with step(_py("Restarting the site's programs, one after the other")):
            site.switch(new.name)
            site.restart_in_turn()
        with step(_py("Asking the site which release serves")):
            new.verify()
    else:
        site.switch(new.name)
    site.finish()


def say_what_remains(site, before):
    config = "deploy/supervisord.conf"
    if not site.is_running():
        text = _py("supervisord does not run. To start it, as {user}: {command}")
        user = site.user.account.pw_name
        command = f"{site.current}/venv/bin/supervisord -c {site.current / config}"
        if service := service_of(site):
            user, command = "root", f"service {service.name} start"
        say(text, user=user, command=command)
        return
    for line in site.ask_supervisord("status").splitlines():
        if line.split()[1:2] in (["FATAL"], ["BACKOFF"]):
            say(line)
    changes = ", ".join(site.ask_supervisord("reread").splitlines())
    files = (site.releases / before / config, site.current / config)
    if ":" in changes or before and not filecmp.cmp(*files, shallow=False):
        text = _py("{config} has changed, and supervisord reads it only when told ({changes}). For its programs: {command}. For all else, stop supervisord and start it again.")
        command = " ".join(map(str, site.supervisorctl("update")))
        say(text, config=config, changes=changes, command=command)


def say_what_waits(site):
    """_("What install.sh would change: the user, the domain, and whatever else the service is made from.")"""
    service = service_of(site)
    if service and (outdated := service.outdated()):
        text = _py("Not in place yet: {files}. To change that: deploy/install.sh --service {name}")
        say(text, files=", ".join(map(str, outdated)), name=service.name)


def service_of(site):
    """_("The service that the site is on this machine; None for whoever cannot change it.")"""
    name = installed_as() if os.geteuid() == 0 and site.path == Path(FOLDER) else None
    return Service(name) if name else None


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
