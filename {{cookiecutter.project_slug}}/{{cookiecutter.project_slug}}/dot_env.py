"""_("Reads .env for the settings, and says in a sentence what is wrong with it: never a value.")"""

import io
import re
import sys
from email.utils import getaddresses
#% if cookiecutter.tasks == "celery"
from urllib.parse import urlsplit
#% endif

import environ
from django.core.exceptions import ImproperlyConfigured

#: What may stand in a line: nothing, a comment, or NAME=value
LINE = re.compile(r"\s*(#.*)?|(export )?\w+=(?!\s)[^\0]*", re.ASCII)
#: What a switch may be, in any case
ON, OFF = ("on", "true", "yes", "y", "ok", "1"), ("off", "false", "no", "n", "0")
#% if cookiecutter.tasks == "celery"
#: The number of a database
PATH = re.compile(r"/?\d*")
#% endif


class DotEnv(environ.Env):
    """_("django-environ, with this file. The variables of the shell go first.")"""

    def __init__(self, file):
        super().__init__()
        #: On a server, a release has but a link to it.
        self.file = file.resolve()
        self.read_env(io.StringIO(self.read()))

    def read(self):
        try:
            text = self.file.read_text("utf-8-sig")
        except FileNotFoundError:
            return ""
        except OSError as error:
            self.refuse(_py("{file} cannot be read: {reason}."), reason=error.strerror)
        except UnicodeError:
            self.refuse(_py("{file} is not in UTF-8: save it in this encoding."))
        lines = text.splitlines()
        for number, line in enumerate(lines, start=1):
            if not LINE.fullmatch(line):
                text = _py("{file}, line {number}: write NAME=value, with no space before it or around =.")
                self.refuse(text, number=number)
        #: What django-environ does not understand, it would print.
        return "\n".join(map(str.lstrip, lines))

    def get_value(self, var, cast=None, default=environ.Env.NOTSET, **_):
        """_("As it stands there: django-environ takes $NAME for another variable, but a secret may begin with $.")"""
        value = self.ENVIRON.get(var)
        if default is self.NOTSET and not value:
            text = _py("{file} lacks {name}: add its line, as .env.example has it; a .env that is missing is written by ./bootstrap.sh.")
            self.refuse(text, name=var)
        return default if value is None else self.parse_value(value, cast)

    def bool(self, var, default=environ.Env.NOTSET):
        """_("django-environ takes what it does not know, a typo, for off.")"""
        value = self(var, default=default)
        if isinstance(value, str):
            word = value.strip().lower()
            if word not in ON + OFF:
                text = _py("{file}: write {name} as on or off.")
                self.refuse(text, name=var)
            value = word in ON
        return value

    def addresses(self, var):
        """_("Names and addresses, as Django takes them.")"""
        value = self(var, default="")
        found = getaddresses([value]) if value else []
        if not all(re.fullmatch(r"[^@\s]+@[^@\s]+", address) for _, address in found):
            text = _py("{file}: write {name} as addresses, with a comma between: ada@example.org, Zoe <zoe@example.org>.")
            self.refuse(text, name=var)
        return found

#% if cookiecutter.database == "postgresql"
    def database(self, var):
        """_("Django's settings of the database that DATABASE_URL names.")"""
        url, config = self(var), {}
        try:
            #: Of a URL that it does not know, django-environ would print the password.
            if re.match("postgres(ql)?://", url):
                config = self.db_url_config(url)
        except (ImproperlyConfigured, ValueError):
            pass
        if not config.get("NAME"):
            text = _py("{file}: write {name} as postgresql:///NAME, or as postgresql://USER:PASSWORD@HOST/NAME with %40 for @ and the like in USER and PASSWORD.")
            self.refuse(text, name=var)
        config.setdefault("OPTIONS", {}).setdefault("connect_timeout", 5)
        return config

#% endif
    def email(self, var):
        """_("The settings of Django's that EMAIL_URL stands for.")"""
        try:
            config = self.email_url_config(self(var, default="") or "consolemail:")
            usable = config["EMAIL_HOST"] or ".smtp." not in config["EMAIL_BACKEND"]
        except (ImproperlyConfigured, ValueError):
            usable = False
        if not usable:
            text = _py("{file}: write {name} as smtp+tls://user:password@smtp.example.org:587, with %40 for @ and the like in user and password, or as consolemail://.")
            self.refuse(text, name=var)
        return config

#% if cookiecutter.tasks == "celery"
    def broker(self, var, default):
        """_("The URL of Redis, as Celery takes it.")"""
        url = self(var, default="") or default
        try:
            parts = urlsplit(url)
            by_network = parts.scheme in ("redis", "rediss") and parts.hostname
            usable = by_network and parts.port != 0 and PATH.fullmatch(parts.path)
            usable = usable or parts.scheme == "redis+socket" and parts.path
        except ValueError:
            usable = False
        if not usable:
            text = _py("{file}: write {name} as redis://:PASSWORD@HOST:6379/0, or as rediss:// for TLS, with %2F for / and the like in the password.")
            self.refuse(text, name=var)
        return url

#% endif
    def refuse(self, text, **values):
        sys.exit(text.format(file=self.file, **values))
