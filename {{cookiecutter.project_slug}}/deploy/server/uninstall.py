"""_("Removes what deploy/install.sh has made: the steps, in their order.")"""

#% if cookiecutter.database == "postgresql"
import os
#% endif
import pwd

#% if cookiecutter.database == "postgresql"
from . import nginx, roles
#% else
from . import nginx
#% endif
from .commands import Failed, confirmed, say
from .facts import FOLDER, USER
from .machine import SECRETS, SITE
from .service import sites_of_user

#: What deploy/release.sh makes in the folder of the site, beside releases and venvs
FILES = ("current", "previous", "release.lock", "unfinished")
#% if cookiecutter.database == "postgresql"
#: And what deploy/servers.sh puts there, where several machines share the site
FILES += ("servers.json",)
#% endif


def uninstall(changes, service, options):
    """_("What is not the site's own cannot stop it half-way: nginx is told at the end.")"""
    service.require_name_of_site()
    if not SITE.path.exists():
        text = _py("Nothing is installed in {folder}.")
        raise Failed(text, folder=FOLDER)
    with_data = options.yes or wants_data_removed()
#% if cookiecutter.database == "postgresql"
    if with_data and os.path.ismount(SITE.media):
        text = _py("{folder} is mounted, and others may have it, too: unmount it first, and what it holds stays.")
        raise Failed(text, folder=SITE.media)
#% endif
#% if cookiecutter.database == "postgresql"
    if with_data:
        roles.require_usable()
#% endif
    service.remove(changes)
    for name in FILES:
        changes.remove(SITE.path / name)
    changes.remove_folder(SITE.releases)
    changes.remove_folder(SITE.venvs)
    if with_data:
        remove_data(changes)
    else:
        say(_py("The data stays in {folder}."), folder=FOLDER)
    tell_nginx(changes)


def wants_data_removed():
    text = _py("Remove the data of {folder} too (database and its copies, logs, secrets)? There is no way back. [y/N] ")
    return confirmed(text, folder=FOLDER)


def remove_data(changes):
#% if cookiecutter.database == "postgresql"
    roles.remove(changes)
#% endif
    changes.remove_folder(SITE.var)
    for path in (*SECRETS, *nginx.logs()):
        changes.remove(path)
    #: Only a user that this command has made has its home here.
    for user in [user.pw_name for user in pwd.getpwall() if user.pw_dir == FOLDER]:
        if user != USER or not sites_of_user():
            changes.run("userdel", user)
    changes.make("-", FOLDER, remove_empty, SITE.path)


def remove_empty(folder):
    try:
        folder.rmdir()
    except OSError as error:
        text = _py("{folder} stays: {reason}")
        say(text, folder=folder, reason=error.strerror)


def tell_nginx(changes):
    try:
        if nginx.is_running():
            nginx.load(changes)
    except Failed as failure:
        text = _py("{reason}. The site is removed; nginx forgets it once that is mended: service nginx reload")
        raise Failed(text, reason=failure) from None
