"""_("The files that hold secrets: each is written once, whole or not at all, and stays out of git.")"""

import os
import secrets
import string


def new_secret():
    """_("64 letters and digits, 381 bits of chance: every format of files takes them as they are.")"""
    letters = string.ascii_letters + string.digits
    return "".join(secrets.choice(letters) for _ in range(64))


def write_env(env, group=None, example=None):
    """_("The example, as a rule the one beside it, with a secret key of its own.")"""
    if not env.exists():
        example = example or env.with_name(".env.example")
        text = example.read_text(encoding="utf-8")
        write(env, text.replace("\nSECRET_KEY=", f"\nSECRET_KEY={new_secret()}"), group)


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
