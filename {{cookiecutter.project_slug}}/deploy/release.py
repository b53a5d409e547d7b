"""_("Puts the code of this folder into service on a server: the steps, in their order.")"""

import filecmp
import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from release_candidate import CODE, Release
from release_commands import Failed, say, step
from release_folder import MIGRATIONS, Folder, target

USAGE = """\
_("Usage: deploy/release.sh [--rollback] [--into DIR] [--offline] [--wheelhouse DIR]")

_("  --rollback        put the previous release into service again")
_("  --into DIR        the folder of the site, by default") {{ cookiecutter.install_dir }}
_("  --wheelhouse DIR  also take packages from this folder")
_("  --offline         use no network; needs --wheelhouse DIR")
"""
#: Free megabytes that a release needs: for a venv, and twice the static files.
SPACE = 150


def make_release(folder, venv_options):
    """_("Until the second migration, the site and its data stay untouched.")"""
    new = Release(folder, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))
    require_space(folder)
    folder.begin(new.name)
    with step(_py("Copying the code")):
        new.copy_code()
        folder.write_secrets(new.path / ".env.example")
    with step(_py("Making the venv, or taking the one that fits")):
        new.make_venv(venv_options)
    with step(_py("Rehearsal: copying the database")):
        new.use_rehearsal()
    with step(_py("Rehearsal: checking the settings")):
        warnings = new.check()
    if warnings:
        say(warnings)
    with step(_py("Rehearsal: migrating the copy of the database")):
        new.manage("migrate", "--no-input")
    with step(_py("Rehearsal: collecting the static files")):
        new.manage("collectstatic", "--no-input")
    with step(_py("Rehearsal: asking for the home page")):
        new.ask_for_pages()
    with step(_py("Migrating the database")):
        new.use_var()
        new.manage("migrate", "--no-input")
    with step(_py("Publishing the static files")):
        new.publish_static_files()
    put_in_service(folder, new)


def roll_back(folder):
    """_("The previous release is whole and was in service: it needs no rehearsal.")"""
    if not target(folder.previous):
        raise Failed(
            _py("There is no previous release in {folder}: nothing to go back to."),
            folder=folder.path,
        )
    old = Release(folder, target(folder.previous))
    folder.begin(old.name)
    put_in_service(folder, old)
    say(MIGRATIONS)


def put_in_service(folder, new):
    """_("A failure from here on makes clean_up() go back.")"""
    before = target(folder.current)
    #: supervisord opened this address when it started; new settings wait for its restart.
    address = Release(folder, before or new.name).address()
    if folder.is_running():
        with step(_py("Restarting gunicorn, one master after the other")):
            folder.switch(new.name)
            folder.restart_in_turn()
        with step(_py("Asking the site which release serves")):
            new.verify(address)
    else:
        folder.switch(new.name)
    folder.finish(before)
    say_what_remains(folder, new, before)


def say_what_remains(folder, new, before):
    config = "deploy/supervisord.conf"
    bin = folder.current / "venv" / "bin"
    files = [folder.releases / release / config for release in (before, new.name)]
    if not folder.is_running():
        say(
            _py("supervisord does not run. To start it, as {user}: {command}"),
            user=folder.user.account.pw_name,
            command=f"{bin}/supervisord -c {folder.current / config}",
        )
    elif before and not filecmp.cmp(*files, shallow=False):
        say(
            _py("{config} has changed, and supervisord reads it only when told. For its programs: {command} update. For all else, stop supervisord and start it again."),
            config=config,
            command=f"{bin}/supervisorctl",
        )


def require_space(folder):
    database = folder.var / "db.sqlite3"
    needed = SPACE + (database.stat().st_size // 10**6 if database.exists() else 0)
    free = shutil.disk_usage(folder.path).free // 10**6
    if free < needed:
        raise Failed(
            _py("The disk of {folder} has {free} MB free and a release needs {needed}: free some."),
            folder=folder.path,
            free=free,
            needed=needed,
        )


def parse(arguments):
    """_("The options: whether to roll back, the folder, and what bootstrap.sh gets.")"""
    wants_roll_back, into, for_venv = False, "{{ cookiecutter.install_dir }}", []
    words = iter(arguments)
    for word in words:
        value = next(words, "") if word in ("--into", "--wheelhouse") else None
        if word in ("-h", "--help"):
            print(USAGE, end="")
            sys.exit()
        elif value == "":
            raise Failed(
                _py("{word} needs a folder."),
                word=word,
            )
        elif word == "--rollback":
            wants_roll_back = True
        elif word == "--into":
            into = value
        elif word == "--wheelhouse":
            for_venv += [word, os.path.abspath(value)]
        elif word == "--offline":
            for_venv.append(word)
        else:
            raise Failed(
                _py("{word} is not an option; deploy/release.sh --help lists them."),
                word=word,
            )
    return wants_roll_back, Path(into).resolve(), for_venv


def interrupt(number, frame):
    raise Failed(_py("It was interrupted."))


def release(wants_roll_back, path, venv_options):
    if CODE in (path, *path.parents):
        raise Failed(
            _py("{folder} holds the code itself: keep the code elsewhere, or name another folder (--into)."),
            folder=path,
        )
    folder = Folder(path)
    folder.prepare()
    folder.lock()
    folder.clean_up()
    before = target(folder.current)
    try:
        if wants_roll_back:
            roll_back(folder)
        else:
            make_release(folder, venv_options)
    except (Failed, OSError) as failure:
        handle_signals(signal.SIG_IGN)
        complain(failure)
        folder.clean_up()
        if before:
            raise Failed(_py("{release} serves as before."), release=before) from None
        raise Failed(_py("Nothing is in service yet.")) from None
    folder.remove_old()
    return target(folder.current)


def complain(failure):
    with suppress(OSError):
        print(failure, file=sys.stderr)
        if where := getattr(failure, "step", None):
            print(_py("It failed:"), f"{where}.", file=sys.stderr)


def handle_signals(handler):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)


def main():
    began = time.monotonic()
    #: The site goes first; and it must be able to read what is made here.
    os.nice(5)
    os.umask(0o022)
    handle_signals(interrupt)
    try:
        serves = release(*parse(sys.argv[1:]))
    except (Failed, OSError) as failure:
        complain(failure)
        sys.exit(1)
    say(
        _py("{release} is in place ({seconds} s)."),
        release=serves,
        seconds=round(time.monotonic() - began),
    )


if __name__ == "__main__":
    main()
