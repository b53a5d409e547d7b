"""_("The files that hold secrets: each is written once, whole or not at all, and stays out of git.")"""

import os
import re
import secrets
import string

from .commands import say


def new_secret():
    """_("64 letters and digits, 381 bits of chance: every format of files takes them as they are.")"""
    letters = string.ascii_letters + string.digits
    return "".join(secrets.choice(letters) for _ in range(64))


def write_env(env, group=None, example=None, **made):
    """_("The example, as a rule the one beside it, with a secret key of its own and what else is made for it; one that is there gets what has no value in it.")"""
    made = {"SECRET_KEY": new_secret, **made}
    if env.exists() and not os.access(env, os.R_OK):
        return
    source = env if env.exists() else example or env.with_name(".env.example")
    old = text = source.read_text(encoding="utf-8", errors="surrogateescape")
    for name, make in made.items():
        if (empty := f"\n{name}=\n") in text:
            text = text.replace(empty, f"\n{name}={make()}\n")
    if not env.exists() or text != old:
        write(env.resolve(), text, group)


def say_what_is_new(env, example):
    """_("The lines of the example whose names .env lacks; one that is commented out there is decided.")"""
    #: Of a file that cannot be read, the settings speak.
    if not (os.access(env, os.R_OK) and example.exists()):
        return
    text = env.read_text("utf-8-sig", errors="replace")
    known = re.findall(r"^[#\s]*(?:export )?(\w+)\s*=", text, re.MULTILINE)
    wanted = re.finditer(r"^(\w+)=.*", example.read_text("utf-8"), re.MULTILINE)
    if new := [found[0] for found in wanted if found[1] not in known]:
        text = _py("{env} lacks what {example} has. Add each line with your value, or with a # in front:")
        say(text, env=env, example=example.name)
        for line in new:
            say(f"  {line}")


def write_password(file, group=None):
    """_("The password of supervisord's web interface.")"""
    if not file.exists():
        write(file, f"[inet_http_server]\npassword = {new_secret()}\n", group)


def write(file, text, group):
    """_("For its owner's eyes alone, and where root writes it, for this group's.")"""
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    new.touch(0o600)
    new.write_text(text, encoding="utf-8")
    if group is not None:
        os.chown(new, 0, group)
        new.chmod(0o640)
    new.replace(file)
