"""_("Brings the code to the servers of deploy/inventory.ini, and runs the site's commands there. Ansible decides on machines and files; what a machine does stays in its own commands.")"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace

from . import code
from .commands import Failed, lock, run, say, step
from .facts import FOLDER
from .options import Parser
from .site_folder import CODE
from .venvs import Venv

PROGRAM = "deploy/servers.sh"
INVENTORY = CODE / "deploy" / "inventory.ini"
ANSIBLE = CODE / "deploy" / "ansible"
VENV = CODE / "var" / "ansible"
FROM_THE_INDEX = SimpleNamespace(wheelhouse=None, offline=False)
#: On a server, the release that serves
THERE = f"{FOLDER}/current/deploy"
#: What Ansible runs, with what it says meanwhile
PLAYED = {
    "install": (_py("Installing the site"), ["deploy/install.sh"]),
    "release": (_py("Making the release"), ["deploy/release.sh"]),
    "rollback": (_py("Going back"), [f"{THERE}/release.sh", "--rollback"]),
    "status": (_py("Asking how it is"), ["sh", f"{THERE}/server/launch.sh", "status"]),
    "backup": (_py("Copying the data"), [f"{THERE}/backup.sh"]),
}
#: What sends the code first
SENDING = ("install", "release")
#: What ssh runs, for it has a terminal: people answer there, or look on
ROOT = 'if [ "$(id -u)" = 0 ]; then exec "$@"; else exec sudo "$@"; fi'
AS_ROOT = ["sh", "-c", ROOT, "sh"]
LOGS = f'exec tail "$@" {FOLDER}/var/log/*.log'
TYPED = {
    "restore": [*AS_ROOT, f"{THERE}/restore.sh"],
    "manage": [*AS_ROOT, f"{THERE}/manage.sh"],
    "logs": [*AS_ROOT, "sh", "-c", LOGS, "sh"],
}
RUN = "run"
#: Of ssh, and where Ansible's inventory has their values
SSH_OPTIONS = {
    "-p": "ansible_port",
    "-l": "ansible_user",
    "-i": "ansible_ssh_private_key_file",
}
#: What may be for several servers at once: the others change the data of one
FOR_ALL = ("status", "backup", RUN)


def main(words):
    options = parse(words)
    make_venv()
    hosts = chosen(options)
    if options.command in PLAYED:
        sys.exit(play(options))
    codes = {host: over_ssh(options, host, hosts[host]) for host in hosts}
    for host, exit_code in codes.items():
        outcome = _py("failed") if exit_code else _py("done")
        say("{host}: {outcome}", host=host, outcome=outcome)
    sys.exit(max(codes.values()))


def parse(words):
    parser = Parser(
        PROGRAM,
        _py("Brings the code from here to the servers of deploy/inventory.ini, and runs the site's commands there."),
        _py("What is sent is the last commit. The words after the command are for the server's own: rollback NAME, restore COPY, logs -f, manage createsuperuser, run uptime."),
    )
    text = _py("this server alone, where the inventory has several")
    parser.value("--limit", _py("NAME"), text, "web")
    text = _py("ask for the password that sudo wants there")
    parser.flag("--ask-become-pass", help=text)
    commands = [*PLAYED, *TYPED, RUN]
    parser.word("command", "|".join(commands), _py("what to do there"))
    parser.word("words", _py("WORD"), _py("for the command there"), nargs="*")
    #: They are not looked at here, options neither.
    found = [at for at, word in enumerate(words) if word in commands]
    end = found[0] + 1 if found else len(words)
    options = parser.parse(words[:end])
    options.words = [*words[end:]]
    if options.command not in commands:
        text = _py("{program} needs one of these words: {commands}.")
        raise Failed(text, program=PROGRAM, commands=", ".join(commands))
    return options


def make_venv():
    """_("With Ansible, in var; a second command is refused meanwhile.")"""
    venv = Venv(VENV, ANSIBLE / "requirements.txt")
    if venv.is_complete():
        return
    text = _py("Another {program} is making {venv}: wait until it has ended.")
    lock(VENV.with_suffix(".lock"), text, program=PROGRAM, venv=VENV)
    if not venv.can_be_updated():
        shutil.rmtree(VENV, ignore_errors=True)
    venv.stamp.unlink(missing_ok=True)
    for text, command in venv.commands(FROM_THE_INDEX):
        with step(text):
            run(*command)
    venv.write_stamp()


def chosen(options):
    """_("The servers that are meant: name -> how Ansible reaches it.")"""
    command = (*ansible("ansible-inventory"), "--list", "--limit", options.limit)
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Failed(done.stderr.strip())
    found = json.loads(done.stdout)
    names = found.get("web", {}).get("hosts", [])
    if not names:
        text = _py("{file} has no server of this name below [web]: {name}.")
        raise Failed(text, file=INVENTORY, name=options.limit)
    if len(names) > 1 and options.command not in FOR_ALL:
        text = _py("{command} is for one server, for each has its own data, and there are {names}: {program} --limit NAME {command}")
        values = {"command": options.command, "names": ", ".join(names)}
        raise Failed(text, program=PROGRAM, **values)
    variables = found["_meta"]["hostvars"]
    return {name: variables.get(name, {}) for name in names}


def ansible(program):
    return VENV / "bin" / program, "--inventory", INVENTORY


def environment():
    return {**os.environ, "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg")}


def play(options):
    title, command = PLAYED[options.command]
    command = [*command, *options.words]
    sending = packed() if options.command in SENDING else nullcontext("")
    with sending as archive:
        values = {
            "title": title,
            "command": command,
            "archive": str(archive),
            #: Without a site, the other commands are not there.
            "needs": "/" if archive else f"{FOLDER}/current",
        }
        words = ["--limit", options.limit, "--extra-vars", json.dumps(values)]
        if options.ask_become_pass:
            words.append("--ask-become-pass")
        playbook = ANSIBLE / "playbook.yml"
        command = (*ansible("ansible-playbook"), *words, playbook)
        return subprocess.run(command, env=environment(), check=False).returncode


@contextmanager
def packed():
    """_("The last commit as a .tar.gz, as long as the block lasts; its name is in the file .commit.")"""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        if not code.git(CODE, "ls-tree", "--name-only", "HEAD"):
            text = _py("{folder} has no commit yet, and a commit is what is sent: git init, git add --all, git commit")
            raise Failed(text, folder=CODE)
        if left_out := code.git(CODE, "status", "--porcelain", "."):
            text = _py("Left out, as it is not committed ({number} in all): {names}")
            names = [change[3:] for change in left_out[: code.NAMED]]
            say(text, number=len(left_out), names=", ".join(names))
        [commit] = code.git(CODE, "log", "-1", "--format=%h")
        (folder / code.COMMIT).write_text(f"{commit}\n")
        archive = folder / "code.tar.gz"
        git = ("git", "-C", CODE, "archive", f"--add-file={folder / code.COMMIT}")
        run(*git, "--output", archive, "HEAD")
        yield archive


def over_ssh(options, name, variables):
    """_("Runs a command there, with the terminal if there is one; returns its exit code.")"""
    ssh = ["ssh", "-t"] if os.isatty(0) and os.isatty(1) else ["ssh"]
    ssh += shlex.split(variables.get("ansible_ssh_common_args", ""))
    for option, variable in SSH_OPTIONS.items():
        if value := variables.get(variable):
            ssh += [option, str(value)]
    if options.command == RUN:
        line = " ".join(options.words)
    else:
        line = shlex.join([*TYPED[options.command], *options.words])
    address = variables.get("ansible_host", name)
    return subprocess.run([*ssh, address, "--", line], check=False).returncode
