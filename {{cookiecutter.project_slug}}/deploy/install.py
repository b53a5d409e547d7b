"""_("Makes a Debian or Ubuntu machine the site's server, or no longer: the steps, in their order.")"""

import getopt
import os
import subprocess
import sys
import time
from contextlib import suppress

from install_changes import Changes
from install_refusals import (
    ADDRESSES,
    FOLDER,
    USER,
    account,
    nginx_is_running,
    refuse,
    split,
)
from install_service import CERTIFICATE, CODE, DOMAIN, FIRST, SITE, Service
from release_commands import Failed, SiteUser, ask, say

USAGE = """\
_("Usage: deploy/install.sh [--service NAME] [--dry-run] [--offline] [--wheelhouse DIR]")
_("       deploy/install.sh --uninstall [--service NAME] [--dry-run] [--yes]")

_("  --service NAME    name of the service (default: supervisord); each site has its own")
_("  --dry-run         show every change, make none")
_("  --wheelhouse DIR  also take packages from this folder")
_("  --offline         use no network; needs --wheelhouse DIR")
_("  --uninstall       remove all that this script has made, but ask before the data")
_("  --yes             remove the data too, without asking")
"""
#: What deploy/release.sh makes in the folder of the site, and what is worth keeping there
PROGRAM = ("current", "previous", "releases", "venvs", "release.lock", "unfinished")
DATA = ("var", ".env", "web_interface.conf")
#: Seconds that the site may take to answer
PATIENCE = 60


def parse(words):
    """_("The options, as a dict, without their dashes.")"""
    with_value = ["service=", "wheelhouse="]
    alone = ["help", "dry-run", "offline", "uninstall", "yes"]
    try:
        found, others = getopt.getopt(words, "h", with_value + alone)
    except getopt.GetoptError as error:
        found, others = [], [f"--{error.opt}"]
    if others:
        raise Failed(
            _py("{option} is not an option, or lacks its value; deploy/install.sh --help lists them."),
            option=others[0],
        )
    return {name.lstrip("-"): value for name, value in found}


def make_user(changes):
    if account() is None:
        options = ("--system", "--user-group", "--no-create-home", "--home-dir", SITE)
        changes.run("useradd", *options, "--shell", "/usr/sbin/nologin", USER)


def make_folders(changes):
    """_("Root's, but for var. Others only get through var, nginx to the static files.")"""
    changes.folder(SITE, 0o755)
    changes.folder(FOLDER.var, 0o711, USER)
    log = FOLDER.var / "log"
    if not log.exists() and changes.show("+", f"{log}/"):
        #: As its owner: root follows no link that the site may have put there.
        with SiteUser(FOLDER.var).rights():
            log.mkdir(mode=0o750)


def make_first_release(changes, options):
    """_("deploy/release.sh makes those that follow.")"""
    if FOLDER.current.exists():
        return
    command = [str(CODE / "deploy" / "release.sh"), "--into", str(SITE)]
    if "wheelhouse" in options:
        command += ["--wheelhouse", options["wheelhouse"]]
    if "offline" in options:
        command.append("--offline")
    if changes.show("$", " ".join(command)):
        if subprocess.run(command, check=False).returncode:
            raise Failed(
                _py("There is no first release, as said above: nothing was started."),
            )
        #: SQLite gives its journals the rights of the database.
        with SiteUser(FOLDER.var).rights():
            (FOLDER.var / "db.sqlite3").chmod(0o640)


def turn_https_on(changes):
    """_("Where there is a certificate. Says whether the site must be told.")"""
    env = SITE / ".env"
    if not CERTIFICATE.exists() or not env.exists():
        return False
    return changes.edit(env, env.read_text().replace("\nHTTPS=off", "\nHTTPS=on"))


def start(changes, service, settings_changed):
    if not FOLDER.is_running():
        changes.run("service", service.name, "start")
    elif settings_changed:
        changes.run("service", service.name, "reload")
    deadline = time.monotonic() + PATIENCE
    while not changes.dry_run and not answers():
        if time.monotonic() > deadline:
            raise Failed(
                _py("The site does not answer at {address}: the logs in {folder} tell why."),
                address=ADDRESSES[0],
                folder=FOLDER.var / "log",
            )
        time.sleep(0.2)


def answers():
    with suppress(OSError):
        return ask(split(ADDRESSES[0]), "/healthz", "localhost")[0] == 200


def install(changes, service, options):
    refuse(service)
    make_user(changes)
    make_folders(changes)
    make_first_release(changes, options)
    settings_changed = turn_https_on(changes)
    service.write(changes)
    start(changes, service, settings_changed)
    service.serve(changes, nginx_is_running())
    scheme = "https" if CERTIFICATE.exists() else "http"
    say(_py("The site answers at {address}"), address=f"{scheme}://{DOMAIN}/")
    if scheme == "http":
        say(
            _py("It has no certificate: whoever is on the way reads and changes its pages. To get one, and to use it:"),
        )
        say(f"  certbot certonly --nginx -d {DOMAIN} --deploy-hook 'nginx -s reload'")
        say(f"  deploy/install.sh --service {service.name}")


def wants_data_removed():
    say(
        _py("Remove the data of {folder} too (database and its copies, logs, secrets)? There is no way back. [y/N] "),
        end="",
        folder=SITE,
    )
    return sys.stdin.readline().strip().lower() in ("y", "yes", "o", "oui")


def uninstall(changes, service, options):
    service.require_name_of_site()
    if not SITE.exists():
        raise Failed(
            _py("Nothing is installed in {folder}."),
            folder=SITE,
        )
    with_data = "yes" in options or wants_data_removed()
    service.remove(changes, nginx_is_running())
    for name in PROGRAM:
        changes.remove(SITE / name)
    if not with_data:
        say(_py("The data stays in {folder}."), folder=SITE)
        return
    for path in (*map(SITE.joinpath, DATA), *service.nginx_logs()):
        changes.remove(path)
    #: Only a user that this script has made has its home here.
    user = account()
    if user and user.pw_dir == str(SITE):
        changes.run("userdel", USER)
    if changes.show("-", SITE):
        SITE.rmdir()


def main(words):
    options = parse(words)
    if "help" in options or "h" in options:
        print(USAGE, end="")
        return
    if os.geteuid() != 0:
        raise Failed(_py("Only root may do this: sudo deploy/install.sh"))
    changes = Changes("dry-run" in options)
    service = Service(options.get("service", FIRST))
    if "uninstall" in options:
        uninstall(changes, service, options)
    else:
        install(changes, service, options)


if __name__ == "__main__":
    os.umask(0o022)
    try:
        main(sys.argv[1:])
    except (Failed, OSError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
