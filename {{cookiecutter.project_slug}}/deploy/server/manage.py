"""_("Runs a command of Django's on the server: as the site's user, with its settings, and nothing of root's.")"""

import os
import subprocess
import sys

from .site_folder import own_site
from .site_user import SiteUser


def main(words):
    site = own_site()
    user = SiteUser(site.var)
    command = [str(site.current / "venv" / "bin" / "python"), "manage.py", *words]
    environment = user.environment() | {"TERM": os.environ.get("TERM", "dumb")}
    os.chdir(site.current)
    #: Into root's terminal, the site could type commands: it has one of its own, or none.
    if user.switched and os.isatty(0) and os.isatty(1):
        become = ["/usr/sbin/runuser", "-u", user.account.pw_name, "--pty", "--"]
        command = [*become, *command]
    elif user.switched:
        options = user.options() | {"env": environment}
        sys.exit(subprocess.run(command, check=False, **options).returncode)
    os.execve(command[0], command, environment)
