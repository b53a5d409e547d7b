"""_("Runs a command of Django's on the server: as the site's user, with its settings, and nothing of root's.")"""

import os
from pathlib import Path

from .site_folder import site_of
from .site_user import SiteUser

CODE = Path(__file__).resolve().parents[2]


def main(words):
    site = site_of(CODE)
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
