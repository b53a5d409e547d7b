"""_("Runs a command of Django's on the server: as the site's user, with its settings, and nothing of root's.")"""

import os

from .site_folder import own_site
from .site_user import SiteUser


def main(words):
    site = own_site()
    user = SiteUser(site.var)
    command = [str(site.current / "venv" / "bin" / "python"), "manage.py", *words]
    if user.switched:
        #: A terminal of its own: into root's, the site could type commands.
        terminal = ["--pty"] if os.isatty(0) and os.isatty(1) else []
        become = ["/usr/sbin/runuser", "-u", user.account.pw_name]
        command = [*become, *terminal, "--", *command]
    os.chdir(site.current)
    environment = user.environment() | {"TERM": os.environ.get("TERM", "dumb")}
    os.execve(command[0], command, environment)
