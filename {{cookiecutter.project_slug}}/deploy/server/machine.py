"""_("What deploy/install.sh must find, each said with its remedy, and what it finds.")"""

import pwd
import shutil
from contextlib import suppress
from pathlib import Path

#% if cookiecutter.database == "postgresql" and cookiecutter.tasks == "celery"
from . import https, nginx, preflight, shared
#% else
from . import https, nginx, preflight
#% endif
from .commands import Failed, complain
from .facts import DOMAIN, FOLDER, USER
from .releases import Release
from .service import CERTIFICATE, sites_of_user
from .site_folder import CODE, SiteFolder, target
from .site_user import SiteUser
from .supervisord_conf import SupervisordConf, shown

SITE = SiteFolder(Path(FOLDER))
ENV = SITE.path / ".env"
SECRETS = (ENV, SITE.path / "web_interface.conf")
#% if cookiecutter.database == "postgresql" and cookiecutter.tasks == "celery"
SECRETS += (shared.BROKER_USERS,)
#% endif
#: Free space for the venv, the code and the first logs; and for the files of the service
NEEDED_MEGABYTES, NEEDED_IN_ETC = 200, 1
PROGRAM = "deploy/install.sh"


def require_machine(service):
    """_("Refuses what cannot work, before anything changes.")"""
    config = SupervisordConf(CODE)
    require_place()
    require_packages()
    service.require_free()
    require_user_of_its_own()
    preflight.require_python(account() or pwd.getpwnam("nobody"), USER)
    nginx.require_usable(service)
    require_ports(config, service)
    if SITE.current.exists():
        require_release(config)


def require_place():
    if CODE == SITE.path:
        text = _py("{folder} is where the site will live: move this code elsewhere, below /root say, and install it from there.")
        raise Failed(text, folder=FOLDER)
    if SITE.path.exists() and SITE.path.stat().st_uid != 0:
        text = _py("{folder} is there and belongs to {user}: move it, or give it to root (chown).")
        raise Failed(text, folder=FOLDER, user=SITE.path.owner())
    preflight.require_space(SITE.path, NEEDED_MEGABYTES, PROGRAM)
    preflight.require_space(Path("/etc"), NEEDED_IN_ETC, PROGRAM)


def require_packages():
#% if cookiecutter.tasks == "celery"
    programs = ("nginx", "cron", "redis-server")
#% else
    programs = ("nginx", "cron")
#% endif
    missing = [name for name in programs if not shutil.which(name)]
#% if cookiecutter.database == "postgresql"
    if not shutil.which("psql"):
        missing.append("postgresql")
#% endif
    if missing:
        text = _py("Some programs are missing: sudo apt install {names}")
        raise Failed(text, names=" ".join(missing))


def require_user_of_its_own():
    """_("Sites of one user read each other's secrets. What is so already goes on.")"""
    if not (others := sites_of_user()):
        return
    text = _py("{user} runs the site in {folder} too, and each could read the other's secrets: write another USER into deploy/server/facts.py, then run this again.")
    failure = Failed(text, user=USER, folder=others[0])
    if not SITE.var.exists() or SITE.var.owner() != USER:
        raise failure
    complain(failure)


def require_ports(config, service):
    if isinstance(config.site, str):
        text = _py("{file}: nginx cannot use {address}. Write socket = tcp://127.0.0.1:8000, say.")
        raise Failed(text, file=config.path, address=shown(config.site))
    if not SITE.is_running() and not service.has_sockets():
        addresses = filter(None, (config.site, config.web_interface))
        preflight.require_free(addresses, "deploy/supervisord.conf")
    if not nginx.is_running():
        preflight.require_free(nginx.listens_at(), "deploy/nginx/http.conf")


def require_release(config):
    """_("The release that serves must listen where nginx will ask.")"""
    if SupervisordConf(SITE.current).addresses() != config.addresses():
        text = _py("{file} has other addresses than the release that serves: deploy/release.sh first, then this again.")
        raise Failed(text, file=config.path)


def require_settings():
    """_("The .env must fit the host name: but for HTTPS=on, it is the administrator's.")"""
    answers, by_https = https.written(current_release())
    if not answers:
        text = _py("ALLOWED_HOSTS in {env} lacks {domain}, and the site would refuse its visitors: add it there, then run this again.")
        raise Failed(text, env=ENV, domain=DOMAIN)
    if by_https and not nginx.speaks_tls():
        text = _py("HTTPS is on in {env}, and there is no certificate for {domain} ({certificate}): get one, or write HTTPS=off, then run this again.")
        raise Failed(text, env=ENV, domain=DOMAIN, certificate=CERTIFICATE)


def account():
    """_("The site's user; None as long as the machine has none of this name.")"""
    with suppress(KeyError):
        return pwd.getpwnam(USER)


def current_release():
    SITE.user = SiteUser(SITE.var)
    return Release(SITE, target(SITE.current))
