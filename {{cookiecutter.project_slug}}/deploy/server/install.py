"""_("Makes a Debian or Ubuntu machine the site's server: the steps, in their order.")"""

import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path

#% if cookiecutter.database == "postgresql" and cookiecutter.tasks == "celery"
from . import https, nginx, roles, secret_files, shared
#% elif cookiecutter.database == "postgresql"
from . import https, nginx, roles, shared
#% else
from . import https, nginx
#% endif
#% if cookiecutter.database == "postgresql" and cookiecutter.tasks == "celery"
from .changes import Changes, content
#% else
from .changes import Changes
#% endif
from .commands import Failed, say, step
from .facts import DOMAIN, FOLDER, USER
from .machine import (
    ENV,
    PROGRAM,
    SECRETS,
    SITE,
    account,
    current_release,
    require_machine,
    require_settings,
)
from .options import Parser
from .service import FIRST, LOGS, Service
from .site_folder import CODE
from .site_user import SiteUser
from .uninstall import uninstall
from .venvs import Venv

#: supervisord may take this long to open its socket.
START_SECONDS = 60


def main(words):
    options = parse(words)
    if os.geteuid() != 0:
        raise Failed(_py("Only root may do this: sudo deploy/install.sh"))
    changes = Changes(options.dry_run)
    service = Service(options.service)
    if options.uninstall:
        uninstall(changes, service, options)
    else:
        install(changes, service, options)


def parse(words):
    parser = Parser(
        PROGRAM,
        _py("Makes this machine the site's server: starts it at each boot, behind nginx."),
    )
    text = _py("name of the service (default: supervisord); each site has its own")
    parser.value("--service", _py("NAME"), text, FIRST)
    parser.flag("--dry-run", help=_py("show every change, make none"))
    parser.packages()
#% if cookiecutter.database == "postgresql"
    parser.rehearsed()
#% endif
    parser.flag(
        "--uninstall",
        help=_py("remove all that this command has made, but ask before the data"),
    )
    parser.flag("--yes", help=_py("remove the data too, without asking"))
    return parser.parse(words)


def install(changes, service, options):
    require_machine(service)
#% if cookiecutter.database == "postgresql"
    roles.require_usable()
#% endif
    mended = mend_venv(changes, options)
    if SITE.current.exists() and not (mended and changes.dry_run):
        require_settings()
    make_user(changes)
#% if cookiecutter.database == "postgresql"
    roles.make_role(changes)
#% endif
    give_to_user(changes, service)
    make_folders(changes)
    make_first_release(changes, options)
    service.write(changes)
#% if cookiecutter.database == "postgresql"
    share(changes, service)
#% endif
    start(changes, service, mended)
    serve(changes, service)
    if not changes.dry_run:
        say_where(service)


def mend_venv(changes, options):
    """_("Of the release that serves, where an upgrade of the system has replaced the Python it was made with. Returns whether it did.")"""
    if not SITE.current.exists():
        return False
    release = current_release()
    venv = Venv((release.path / "venv").resolve(), release.path / "requirements.txt")
    if venv.is_complete():
        return False
    changes.make("+", release.path / "venv", make_venv, release, options)
    return True


def make_venv(release, options):
    with step(_py("Making the venv, or taking the one that fits")):
        release.make_venv(options)


def make_user(changes):
    if account() is None:
        options = ("--system", "--user-group", "--no-create-home", "--home-dir", FOLDER)
        changes.run("useradd", *options, "--shell", "/usr/sbin/nologin", USER)


def give_to_user(changes, service):
    """_("Where deploy/server/facts.py names another user than before. The folder itself comes last: until then, a second run goes on.")"""
    if not SITE.var.exists() or SITE.var.owner() == USER:
        return
    if SITE.is_running():
        changes.run("service", service.name, "stop")
    group = account().pw_gid if account() else USER
    for path in filter(Path.exists, (*SECRETS, SITE.releases)):
        changes.run("chgrp", group, path)
#% if cookiecutter.database == "postgresql"
    roles.give_to_user(changes, SITE.var.owner())
#% endif
    inside = sorted(SITE.var.iterdir())
    changes.run("chown", "-R", "--no-dereference", f"{USER}:", *inside)
    changes.run("chown", f"{USER}:", SITE.var)


def make_folders(changes):
    """_("Root's, but for var. Others only get through var, nginx to the static files.")"""
    changes.folder(SITE.path, 0o755)
    changes.folder(SITE.var, 0o711, USER)
    log = SITE.var / "log"
    if not log.exists():
        changes.make("+", f"{log}/", make_log_folder, log)


def make_first_release(changes, options):
    """_("deploy/release.sh makes those that follow.")"""
    if SITE.current.exists():
        return
    command = [str(CODE / "deploy" / "release.sh"), "--into", FOLDER]
    if options.wheelhouse:
        command += ["--wheelhouse", str(options.wheelhouse)]
    if options.offline:
        command.append("--offline")
#% if cookiecutter.database == "postgresql"
    if options.rehearsed:
        command.append("--rehearsed")
#% endif
    changes.make("$", " ".join(command), make_release, command)


def make_log_folder(log):
    """_("As its owner: root follows no link that the site may have put there.")"""
    with SiteUser(SITE.var).touches_files():
        log.mkdir(mode=0o750)


def make_release(command):
    if subprocess.run(command, check=False).returncode:
        text = _py("There is no first release, as said above: nothing was started.")
        raise Failed(text)


#% if cookiecutter.database == "postgresql"
def share(changes, service):
    """_("Brings what this machine has in common with others, if there are any, into .env and to the broker.")"""
    if not shared.own():
        return
#% if cookiecutter.tasks == "celery"
    users, known = shared.broker_users(), content(shared.BROKER_USERS) or b""
    if users.encode() != known:
        write = (secret_files.write, shared.BROKER_USERS, users, account().pw_gid)
        changes.make("+", shared.BROKER_USERS, *write)
#% endif
    env = ENV.resolve()
    text = shared.with_env(env.read_text(encoding="utf-8"))
    if changes.file(env, text) and SITE.is_running():
        changes.run("service", service.name, "reload")


#% endif
def start(changes, service, mended):
    """_("One that runs is told what has changed in .env; supervisord itself must be new where its Python is.")"""
    if not SITE.is_running():
        changes.run("service", service.name, "start")
    elif mended:
        changes.run("service", service.name, "restart")
    elif has_other_settings():
        changes.run("service", service.name, "reload")
    if changes.dry_run:
        return
    with step(_py("Waiting for the site")):
        deadline = time.monotonic() + START_SECONDS
        while not SITE.is_running():
            failed = service.shows("Result") == "exit-code"
            if failed or time.monotonic() > deadline:
                text = _py("supervisord does not run: {logs} tells why.")
                raise Failed(text, logs=service.says_why())
            time.sleep(0.2)
        current_release().python("deploy/server", "health", "wait")


def has_other_settings():
    """_("Whether the site that runs was started with another .env. One that does not answer has none.")"""
    with suppress(OSError):
        release = current_release()
        return https.running(release) != https.written(release)


def serve(changes, service):
    """_("nginx first: no visitor is sent to https before it is there. What fails leaves nginx and .env as they were.")"""
    env = ENV.resolve()
    new_logs = [log for log in LOGS if not log.exists()]
    try:
        with changes.whole(*service.of_nginx, *new_logs, env):
            changed = service.write_of_nginx(changes)
            if changed or not nginx.is_running() or not nginx.serves(SITE):
                nginx.load(changes)
            if not changes.dry_run:
                nginx.require_answer(SITE)
            if nginx.speaks_tls() and SITE.current.exists():
                turn_https_on(changes, service, env)
    except BaseException:
        tell_again(changes, service)
        raise


def turn_https_on(changes, service, env):
    if not https.written(current_release())[1]:
        https.turn_on(changes, env)
        changes.run("service", service.name, "reload")


def tell_again(changes, service):
    """_("What has been put back.")"""
    with suppress(Failed):
        if nginx.is_running():
            nginx.load(changes)
    with suppress(Failed):
        if has_other_settings():
            changes.run("service", service.name, "reload")


def say_where(service):
    say(_py("The site answers at {address}"), address=nginx.address())
    if nginx.speaks_to_all_plainly():
        text = _py("It has no certificate: whoever is on the way reads and changes its pages. To get one, and to use it:")
        say(text)
        say(f"  certbot certonly --nginx -d {DOMAIN} --deploy-hook 'nginx -s reload'")
        say(f"  deploy/install.sh --service {service.name}")
#% if cookiecutter.database == "postgresql"
    roles.say_too_few_connections()
#% endif
    if service.command in service.obsolete:
        text = _py("supervisorctl is that of Debian's package here. The site's: {command}")
        say(text, command=SITE.current / "venv" / "bin" / "supervisorctl")
