"""_("Sets the site up where its code lies: venv, secrets, database, static files. Only what is missing is done.")"""

import hashlib
#% if cookiecutter.database == "postgresql"
import json
#% endif
import os
import shutil
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

#% if cookiecutter.database == "postgresql"
from . import postgresql, preflight, secret_files
from .commands import Failed, complain, lock, run, run_into, say, step
#% else
from . import preflight, secret_files
from .commands import Failed, complain, lock, run_into, say, step
#% endif
from .options import Parser
from .supervisord_conf import SupervisordConf, shown
from .venvs import Venv, can

CODE = Path(__file__).resolve().parents[2]
VAR = CODE / "var"
LOG = VAR / "log" / "bootstrap.log"
STATIC = VAR / "static"
LOCAL = CODE / "deploy" / "local.conf"
#: One per release; RELEASE in the settings is the name of this folder.
MANIFEST = STATIC / "manifests" / CODE.name / "staticfiles.json"
#: The fingerprint of what the static files were collected from; missing until they all are.
COLLECTED = VAR / "static.collected"
PROGRAM = "./bootstrap.sh"
VENV_MEGABYTES = 150


def main(words):
    parser = Parser(
        PROGRAM,
        _py("Sets the site up: venv, requirements, secrets, database, static files."),
        _py("To fill the folder: venv/bin/pip download -r requirements.txt -d DIR"),
    )
    parser.flag(
        "--dev",
        help=_py("also what one develops with: the packages of requirements-dev.txt"),
    )
    parser.value(
        "--port",
        _py("NUMBER"),
        _py("the site's port on this machine alone; the web interface gets the next one"),
        type=usable_port,
    )
    parser.packages()
    options = parser.parse(words)
    os.chdir(CODE)
    preflight.require_path(CODE)
    take_lock()
    write_local_conf(options.port)
    config = SupervisordConf(CODE, local=True)
    let_scripts_run()
    try:
        set_up(config, options)
    except Failed as failure:
        explain(failure)
        raise
    say_what_is_next(config)
    if not supervisord_runs():
        warn_of_taken_addresses(config)


def usable_port(value):
    #: The last one has no next one.
    if not value.isdecimal() or not 1024 <= int(value) < 65535:
        text = _py("--port needs a number from 1024 to 65534, not \"{value}\".")
        raise Failed(text, value=value)
    return int(value)


def write_local_conf(port):
    """_("deploy/supervisord.conf reads it, and what stands in it counts. Without --port, one that is there stays.")"""
    if LOCAL.exists() and not port:
        return
    text = _py("What counts on this machine alone, instead of what supervisord.conf says. ./bootstrap.sh --port writes it; releases leave it out.")
    lines = [f"; {text}"]
    if port:
        lines += SupervisordConf(CODE).with_ports(port, port + 1)
    with writing(LOCAL):
        LOCAL.write_text("\n".join(lines) + "\n", encoding="utf-8")


def set_up(config, options):
#% if cookiecutter.tasks == "celery"
    preflight.require_broker()
#% endif
#% if cookiecutter.database == "postgresql"
    new_url = partial(postgresql.new_url, CODE, {})
    secrets = {".env": partial(secret_files.write_env, DATABASE_URL=new_url)}
#% else
    secrets = {".env": secret_files.write_env}
#% endif
    if config.web_interface:
        secrets["deploy/web_interface.conf"] = secret_files.write_password
    for name, write in secrets.items():
        with writing(CODE / name):
            write(CODE / name)
    secret_files.say_what_is_new(CODE / ".env", CODE / ".env.example")
    venv = wanted_venv(options.dev)
    if not venv.is_complete():
        make_venv(venv, options)
    prepare_site(venv)


def wanted_venv(dev):
    """_("Its stamp tells whether --dev was said before: what that has added stays up to date.")"""
    path, requirements = CODE / "venv", [CODE / "requirements.txt"]
    if dev or Venv(path).stamped()[3:]:
        requirements.append(CODE / "requirements-dev.txt")
    return Venv(path, *requirements)


def let_scripts_run():
    """_("A zip may have lost that right.")"""
    for path in (CODE / "manage.py", *CODE.glob("*.sh"), *CODE.glob("deploy/*.sh")):
        if not os.access(path, os.X_OK):
            path.chmod(path.stat().st_mode | 0o111)


def make_venv(venv, packages):
    """_("A venv that is half-made, moved or of another Python is made anew; one with other requirements is brought up to date.")"""
    if not venv.can_be_updated():
        with writing(venv.path):
            shutil.rmtree(venv.path, ignore_errors=not venv.path.exists())
        preflight.require_space(CODE, VENV_MEGABYTES, PROGRAM)
    venv.stamp.unlink(missing_ok=True)
    for text, command in venv.commands(packages):
        perform(text, command)
    with writing(venv.path):
        venv.finish()


def prepare_site(venv):
    """_("Migrates the database and collects the static files, where that is due.")"""
    tasks = []
    manage = (venv.python, "manage.py")
#% if cookiecutter.database == "postgresql"
    require_database(manage)
    if not can(*manage, "migrate", "--check"):
        tasks.append("migrate")
#% else
    if not (VAR / "db.sqlite3").exists() or not can(*manage, "migrate", "--check"):
        tasks.append("migrate")
#% endif
    sources = fingerprint(venv)
    collected = COLLECTED.read_text() if COLLECTED.exists() else ""
    if collected != sources or not MANIFEST.exists():
        with writing(COLLECTED):
            forget_static_files(whole=not collected)
        tasks.append("collectstatic")
    if tasks:
        commands = ((*manage, task, "--no-input") for task in tasks)
        perform(_py("Preparing the site ({tasks})"), *commands, tasks=" ".join(tasks))
        with writing(COLLECTED):
            COLLECTED.write_text(sources)


#% if cookiecutter.database == "postgresql"
def require_database(manage):
    """_("What Django itself would say of one that it cannot reach has a page of traceback.")"""
    said = run(*manage, "shell", "--no-imports", "-c", postgresql.CONNECTION)
    _, _, variables = json.loads(said.splitlines()[-1])
    server = postgresql.Server({"env": os.environ | variables})
    server.require_answer(variables.get("PGDATABASE", postgresql.MAINTENANCE))


#% endif
def fingerprint(venv):
    """_("Of the static files of every app; the settings and the venv tell which apps there are. Their times tell nothing: a copy may keep old ones.")"""
    digest = hashlib.sha256(venv.stamp.read_bytes())
    for folder, folders, files in os.walk("."):
        folders.sort()
        if folder == ".":
            folders[:] = [name for name in folders if name not in ("venv", "var")]
        for path in (os.path.join(folder, name) for name in sorted(files)):
            is_source = "/static" in path or path.endswith("/settings.py")
            if is_source and os.path.isfile(path):
                digest.update(path.encode(errors="surrogateescape"))
                with open(path, "rb") as file:
                    for piece in iter(partial(file.read, 2**20), b""):
                        digest.update(piece)
    return digest.hexdigest()


def forget_static_files(whole):
    """_("Django keeps a file that is as new as its source, also half of one that a killed run left: whole.")"""
    COLLECTED.unlink(missing_ok=True)
    if whole:
        shutil.rmtree(STATIC, ignore_errors=True)
    for path in filter(Path.is_file, STATIC.rglob("*")):
        #: The last second of 1969: some copies bear the first of 1970.
        os.utime(path, (-1, -1))


def perform(text, *commands, **values):
    """_("Shows a step and runs its commands, whose output goes to the log.")"""
    with step(text, **values), LOG.open("w+b") as output:
        for command in commands:
            run_into(output, *command)


def take_lock():
    if not os.access(CODE, os.W_OK):
        refuse_to_write(CODE)
    with writing(LOG):
        LOG.parent.mkdir(parents=True, exist_ok=True)
        LOG.touch()
    lock(
        LOG,
        _py("Another ./bootstrap.sh is at work in {folder}: wait until it has ended."),
        folder=CODE,
    )


def supervisord_runs():
    """_("Whether the process of its pid file is there: it has the addresses.")"""
    with suppress(OSError, ValueError):
        os.kill(int((VAR / "supervisord.pid").read_text()), 0)
        return True
    return False


def warn_of_taken_addresses(config):
    remedy = _py("deploy/supervisord.conf; for this machine alone, ./bootstrap.sh --port NUMBER does it")
    for address in (config.site, config.web_interface):
        if isinstance(address, tuple):
            try:
                preflight.require_free([address], remedy)
            except Failed as taken:
                complain(taken)


@contextmanager
def writing(path):
    """_("Says in a sentence why something cannot be written.")"""
    try:
        yield
    except OSError:
        refuse_to_write(path)


def refuse_to_write(path):
    preflight.require_space(CODE, VENV_MEGABYTES, PROGRAM, 1)
    text = _py("{path} cannot be written: run ./bootstrap.sh as its owner, make it yours (sudo chown -R), or make its disk writable.")
    raise Failed(text, path=path if path != CODE else f"{CODE}/") from None


def explain(failure):
    """_("Of a step that failed, the last lines tell why, unless the disk is full.")"""
    if failure.step:
        preflight.require_space(CODE, VENV_MEGABYTES, PROGRAM, 1)
        text = _py("It failed: \"{step}\". The lines above tell why (all of them: {log}). Then run ./bootstrap.sh again.")
        sentence = text.format(step=failure.step, log=LOG.relative_to(CODE))
        raise Failed(f"{failure}\n{sentence}") from None


def say_what_is_next(config):
    address = shown(config.site)
    say(_py("Everything is in place."))
    say("")
    say("  venv/bin/supervisord              " + _py("start the site:"), end=" ")
    say(f"http://{address}/")
    say("  venv/bin/supervisorctl status     " + _py("look at it"))
    say("  venv/bin/supervisorctl shutdown   " + _py("stop it"))
    if config.web_interface:
        say("")
        text = _py("Web interface: http://{address}/ (user: admin; password: in deploy/web_interface.conf)")
        say(text, address=shown(config.web_interface))
