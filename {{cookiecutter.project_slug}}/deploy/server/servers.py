"""_("Brings the code to the servers of deploy/inventory.ini, and runs the site's commands there. Ansible decides on machines and files; what a machine does stays in its own commands.")"""

import getpass
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from types import SimpleNamespace

#% if cookiecutter.database == "postgresql"
from . import code, fleet
#% else
from . import code
#% endif
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
LOGS = f'exec tail "$@" {FOLDER}/var/log/*.log'
TYPED = {
    "restore": [f"{THERE}/restore.sh"],
    "manage": [f"{THERE}/manage.sh"],
    "logs": ["sh", "-c", LOGS, "sh"],
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
    servers = Servers(options)
#% if cookiecutter.database == "postgresql"
    if fleet.is_one(servers):
        fleet.perform(servers)
    else:
        perform(servers)
#% else
    perform(servers)
#% endif
    for host, exit_code in servers.outcomes.items():
        outcome = _py("failed") if exit_code else servers.ways.get(host, _py("done"))
        say("{host}: {outcome}", host=host, outcome=outcome)
    sys.exit(max(servers.outcomes.values()))


def perform(servers):
    """_("Each server by itself.")"""
    command, hosts = servers.options.command, servers.chosen("web")
    if not hosts:
        raise unknown("web")
    if len(hosts) > 1 and command not in FOR_ALL:
#% if cookiecutter.database == "postgresql"
        text = _py("{command} is for one server, for each has its own data, and there are {names}: {program} --limit NAME {command}. To share one site, they need the groups [front] and [database], too: docs/fleet.md")
#% else
        text = _py("{command} is for one server, for each has its own data, and there are {names}: {program} --limit NAME {command}. To share one site, they would need a database that all reach, which SQLite is not: generate the project with database=postgresql.")
#% endif
        raise Failed(text, program=PROGRAM, command=command, names=", ".join(hosts))
    sending = code.packed(CODE) if command in SENDING else nullcontext("")
    with sending as archive:
        for host in hosts:
            servers.run(host, archive)


def parse(words):
    parser = Parser(
        PROGRAM,
        _py("Brings the code from here to the servers of deploy/inventory.ini, and runs the site's commands there."),
        _py("What is sent is the last commit. The words after the command are for the server's own: rollback NAME, restore COPY, logs -f, manage createsuperuser, run uptime."),
    )
    text = _py("this server alone, where the inventory has several")
    parser.value("--limit", _py("NAME"), text, "all")
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


class Servers:
    """_("Those of the inventory, and how each is reached.")"""

    def __init__(self, options):
        self.options = options
        self.groups, self.variables = self.read("all")
        limited = self.read(options.limit)[0] if options.limit != "all" else self.groups
        self.limited = {host for hosts in limited.values() for host in hosts}
        #: Of each server that something was done on: the exit code
        self.outcomes = {}
        #: And what else is to be said of it in the end than that it is done
        self.ways = {}
        if not self.limited:
            raise unknown(options.limit)
        self.password = asked_password() if options.ask_become_pass else ""

    def read(self, limit):
        """_("By group, their names; and by name, how Ansible reaches them.")"""
        command = (*ansible("ansible-inventory"), "--list", "--limit", limit)
        done = subprocess.run(
            command, env=environment(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Failed(done.stderr.strip())
        found = json.loads(done.stdout)
        variables = found.pop("_meta")["hostvars"]
        groups = {name: group.get("hosts", []) for name, group in found.items()}
        return groups, variables

    def chosen(self, *groups):
        """_("Those of these groups that are meant, each once.")"""
        hosts = [host for group in groups for host in self.groups.get(group, ())]
        return [host for host in dict.fromkeys(hosts) if host in self.limited]

    def run(self, host, archive=""):
        """_("The command that was asked for.")"""
        name, words = self.options.command, self.options.words
        if name in PLAYED:
            title, command = PLAYED[name]
            self.play(host, title, [*command, *words], archive)
        else:
            self.over_ssh(host)

    def play(self, host, title, command, archive="", settings=None):
        """_("Has Ansible run it there, with what it shows; returns the exit code.")"""
        done = self.ansible_playbook(host, title, command, archive, settings)
        self.ended(host, done.returncode)
        return done.returncode

    def ended(self, host, exit_code):
        """_("Of what was done there, the worst counts.")"""
        self.outcomes[host] = max(exit_code, self.outcomes.get(host, 0))

    def ansible_playbook(
        self, host, title, command, archive="", settings=None, needs=None, quiet=False
    ):
        """_("needs: what must be there, as a rule the site. quiet: what the command says is returned, and nothing shown.")"""
        values = {
            "title": title,
            "command": list(map(str, command)),
            "archive": str(archive),
            "folder": FOLDER,
            "settings": settings or {},
            #: Without a site, the other commands are not there.
            "needs": needs or ("/" if archive else f"{FOLDER}/current"),
        }
        if self.password:
            values["ansible_become_password"] = self.password
        #: Not on a command line, which everybody sees
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(values, file)
            file.flush()
            words = ["--limit", host, "--extra-vars", f"@{file.name}"]
            playbook = ANSIBLE / "playbook.yml"
            command = (*ansible("ansible-playbook"), *words, playbook)
            options = {"env": environment(), "text": True}
            if quiet:
                options["env"]["QUIET"] = "1"
                options["capture_output"] = True
            return subprocess.run(command, check=False, **options)

    def over_ssh(self, host):
        """_("Runs it there with the terminal, if there is one.")"""
        options = self.options
        if options.command == RUN:
            line = " ".join(options.words)
        else:
            line = self.as_root([*TYPED[options.command], *options.words])
        terminal = ["-t"] if os.isatty(0) and os.isatty(1) else []
        done = subprocess.run(self.ssh(host, line, *terminal), check=False)
        self.ended(host, done.returncode)

    def as_root(self, command):
        """_("The line of sh that runs it so.")"""
        return shlex.join(["sh", "-c", ROOT, "sh", *command])

    def ssh(self, host, line, *options):
        """_("What runs a line of sh there, as the inventory has the server reached.")"""
        variables = self.variables.get(host, {})
        ssh = ["ssh", *options]
        ssh += shlex.split(variables.get("ansible_ssh_common_args", ""))
        for option, variable in SSH_OPTIONS.items():
            if value := variables.get(variable):
                ssh += [option, str(value)]
        return [*ssh, variables.get("ansible_host", host), "--", line]


def unknown(name):
    text = _py("{file} has no server of this name: {name}.")
    return Failed(text, file=INVENTORY, name=name)


def asked_password():
    """_("Once for all servers.")"""
    if sys.stdin.isatty():
        return getpass.getpass(_py("The password that sudo wants there: "))
    return sys.stdin.readline().rstrip("\n")


def ansible(program):
    return VENV / "bin" / program, "--inventory", INVENTORY


def environment():
    return {**os.environ, "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg")}
