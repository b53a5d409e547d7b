"""_("HTTPS in .env, as the settings read it and as the site that runs has it.")"""

import re

from .commands import Failed
from .facts import DOMAIN
from .probes import ask

LINE = re.compile(r"(?m)^((?:export )?HTTPS=)[^\r\n]*")
#: What Django makes of it
ASK = f"""
from django.http.request import validate_host
print(int(validate_host({DOMAIN!r}, settings.ALLOWED_HOSTS)), int(settings.HTTPS))
"""


def written(release):
    """_("Whether .env has the domain in ALLOWED_HOSTS, and HTTPS on.")"""
    try:
        said = release.ask_settings(ASK)
    except Failed as failure:
        text = _py("Django refuses the settings, .env among them: {reason}")
        raise Failed(text, reason=str(failure).splitlines()[-1]) from None
    return [word == "1" for word in said.splitlines()[-1].split()]


def running(release):
    """_("The same of the site that runs: it refuses an unknown host, and sends visitors to https.")"""
    status, _ = ask(release.config.site, "/", DOMAIN, proto="http")
    return [status != 400, status == 301]


def turn_on(changes, env):
    """_("No other line changes.")"""
    text = env.read_bytes().decode()
    if not LINE.search(text):
        text += "HTTPS=\n" if text.endswith("\n") else "\nHTTPS=\n"
    changes.file(env.resolve(), LINE.sub(r"\1on", text))
