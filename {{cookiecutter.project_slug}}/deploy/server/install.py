"""_("Makes a Debian or Ubuntu machine the site's server, or no longer: the steps, in their order.")"""

import os
import pwd
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from . import preflight
from .changes import Changes
from .commands import Failed, confirmed, say
from .facts import DOMAIN, FOLDER, USER
from .options import Parser
from .releases import CODE, Release
from .service import CERTIFICATE, FIRST, Service
from .site_folder import SiteFolder, target
from .site_user import SiteUser
from .supervisord_conf import SupervisordConf, shown

PROGRAM = "deploy/install.sh"
SITE = SiteFolder(Path(FOLDER))
#: What deploy/release.sh makes in the folder of the site, and what is worth keeping there
RELEASES = ("current", "previous", "releases", "venvs", "release.lock", "unfinished")
DATA = ("var", ".env", "web_interface.conf")
SECRETS = (SITE.path / ".env", SITE.path / "web_interface.conf")
#: Free space for the venv, the code and the first logs
NEEDED_MEGABYTES = 200
#: supervisord may take this long to open its socket.
START_SECONDS = 60

SETTINGS = """
from django.conf import settings
from django.http.request import validate_host
print(validate_host({domain!r}, settings.ALLOWED_HOSTS), settings.HTTPS)
"""


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
    parser.flag(
        "--uninstall",
        help=_py("remove all that this command has made, but ask before the data"),
    )
    parser.flag("--yes", help=_py("remove the data too, without asking"))
    return parser.parse(words)


def install(changes, service, options):
    require_all(service)
    make_user(changes)
    give_to_user(changes, service)
    make_folders(changes)
    make_first_release(changes, options)
    settings_changed = turn_https_on(changes)
    service.write(changes)
    start(changes, service, settings_changed)
    service.serve(changes, nginx_is_running())
    say_where(service)


def require_all(service):
    """_("Refuses what cannot work, before anything changes.")"""
    config = SupervisordConf(CODE)
    require_place()
    require_packages()
    service.require_free()
    preflight.require_python(account() or pwd.getpwnam("nobody"), USER)
    require_ports(config)
    if SITE.current.exists():
        require_release(config)
        require_settings()


def require_place():
    if CODE == SITE.path:
        text = _py("{folder} is where the site will live: move this code elsewhere, below /root say, and install it from there.")
        raise Failed(text, folder=FOLDER)
    if SITE.path.exists() and SITE.path.stat().st_uid != 0:
        text = _py("{folder} is there and belongs to {user}: move it, or give it to root (chown).")
        raise Failed(text, folder=FOLDER, user=SITE.path.owner())
    preflight.require_space(SITE.path, NEEDED_MEGABYTES, PROGRAM)


def require_packages():
    missing = [name for name in ("nginx", "cron") if not shutil.which(name)]
    if missing:
        text = _py("Some programs are missing: sudo apt install {names}")
        raise Failed(text, names=" ".join(missing))


def require_ports(config):
    if isinstance(config.site, str):
        text = _py("{file}: nginx cannot use {address}. Write socket = tcp://127.0.0.1:8000, say.")
        raise Failed(text, file=config.path, address=shown(config.site))
    if not SITE.is_running():
        addresses = filter(None, (config.site, config.web_interface))
        preflight.require_free(addresses, "deploy/supervisord.conf")
    if not nginx_is_running():
        ports = (80, 443) if CERTIFICATE.exists() else (80,)
        addresses = [("0.0.0.0", port) for port in ports]
        preflight.require_free(addresses, "deploy/nginx/http.conf")


def require_release(config):
    """_("The release that serves must listen where nginx will ask.")"""
    if SupervisordConf(SITE.current).addresses() != config.addresses():
        text = _py("{file} has other addresses than the release that serves: deploy/release.sh first, then this again.")
        raise Failed(text, file=config.path)


def require_settings():
    """_("The .env must fit the host name: it is the administrator's, and nothing here changes it.")"""
    ask = ("shell", "--no-imports", "-c", SETTINGS.format(domain=DOMAIN))
    answers, https = current_release().manage(*ask).split()
    if answers != "True":
        text = _py("ALLOWED_HOSTS in {env} lacks {domain}, and the site would refuse its visitors: add it there, then run this again.")
        raise Failed(text, env=SECRETS[0], domain=DOMAIN)
    if https == "True" and not CERTIFICATE.exists():
        text = _py("HTTPS is on in {env}, and there is no certificate for {domain} ({certificate}): get one, or write HTTPS=off, then run this again.")
        raise Failed(text, env=SECRETS[0], domain=DOMAIN, certificate=CERTIFICATE)


def account():
    """_("The site's user; None as long as the machine has none of this name.")"""
    with suppress(KeyError):
        return pwd.getpwnam(USER)


def nginx_is_running():
    with suppress(OSError, ValueError):
        return Path("/proc", str(int(Path("/run/nginx.pid").read_text()))).exists()
    return False


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
    changes.make("$", " ".join(command), make_release, command)


def make_log_folder(log):
    """_("As its owner: root follows no link that the site may have put there.")"""
    with SiteUser(SITE.var).touches_files():
        log.mkdir(mode=0o750)


def make_release(command):
    if subprocess.run(command, check=False).returncode:
        text = _py("There is no first release, as said above: nothing was started.")
        raise Failed(text)


def turn_https_on(changes):
    """_("Where there is a certificate. Returns whether the site must be told.")"""
    env = SITE.path / ".env"
    if not CERTIFICATE.exists() or not env.exists():
        return False
    return changes.file(env, env.read_text().replace("\nHTTPS=off", "\nHTTPS=on"))


def start(changes, service, settings_changed):
    if not SITE.is_running():
        changes.run("service", service.name, "start")
    elif settings_changed:
        changes.run("service", service.name, "reload")
    deadline = time.monotonic() + START_SECONDS
    while not changes.dry_run and not SITE.is_running():
        if time.monotonic() > deadline:
            text = _py("supervisord does not run: the logs in {folder} tell why.")
            raise Failed(text, folder=SITE.var / "log")
        time.sleep(0.2)
    if not changes.dry_run:
        current_release().python("deploy/server", "health", "wait")


def current_release():
    SITE.user = SiteUser(SITE.var)
    return Release(SITE, target(SITE.current))


def say_where(service):
    scheme = "https" if CERTIFICATE.exists() else "http"
    say(_py("The site answers at {address}"), address=f"{scheme}://{DOMAIN}/")
    if scheme == "http":
        text = _py("It has no certificate: whoever is on the way reads and changes its pages. To get one, and to use it:")
        say(text)
        say(f"  certbot certonly --nginx -d {DOMAIN} --deploy-hook 'nginx -s reload'")
        say(f"  deploy/install.sh --service {service.name}")


def uninstall(changes, service, options):
    service.require_name_of_site()
    if not SITE.path.exists():
        text = _py("Nothing is installed in {folder}.")
        raise Failed(text, folder=FOLDER)
    with_data = options.yes or wants_data_removed()
    service.remove(changes, nginx_is_running())
    for name in RELEASES:
        changes.remove(SITE.path / name)
    if not with_data:
        say(_py("The data stays in {folder}."), folder=FOLDER)
        return
    for path in (*map(SITE.path.joinpath, DATA), *service.nginx_logs()):
        changes.remove(path)
    #: Only a user that this command has made has its home here.
    user = account()
    if user and user.pw_dir == FOLDER:
        changes.run("userdel", USER)
    changes.make("-", FOLDER, os.rmdir, SITE.path)


def wants_data_removed():
    text = _py("Remove the data of {folder} too (database and its copies, logs, secrets)? There is no way back. [y/N] ")
    return confirmed(text, folder=FOLDER)
