"""_("What Ansible shows: a line for each step, what the server says, and a sentence for what fails.")"""

import os
import re
import sys
import threading

from ansible.plugins.callback import CallbackBase

#: What Ansible, ssh or sudo say, and what it means. The first that fits counts.
REASONS = (
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        _py("its host key has changed: is it a new machine, or somebody else's? If it is yours: ssh-keygen -R {host}"),
    ),
    (
        "Host key verification failed",
        _py("its host key is unknown here: connect once (ssh {host}), and compare what it shows."),
    ),
    (
        "Permission denied",
        _py("ssh lets nobody in with your keys: ssh-copy-id {host}, or name the user in deploy/inventory.ini (ansible_user=debian)."),
    ),
    (
        "Missing sudo password|password is required|Incorrect sudo password|Duplicate become|Timeout.*(become|privilege)",
        _py("sudo wants the right password there: deploy/servers.sh --ask-become-pass, before the command."),
    ),
    (
        "not in the sudoers|may not run sudo|not allowed to execute",
        _py("this user may not use sudo there: have it added to the group sudo."),
    ),
    (
        "sudo: (command )?not found",
        _py("sudo is missing there: apt install sudo, or come as root (ansible_user=root in deploy/inventory.ini)."),
    ),
    (
        "no-python|python3: (command )?not found|No such file.*python",
        _py("Python 3.10 or later is missing there: sudo apt install python3 python3-venv"),
    ),
    (
        "No space left on device|Disk quota exceeded",
        _py("its disk is full: free some space there, and try again."),
    ),
    (
        "no-site",
        _py("there is no site yet: deploy/servers.sh install"),
    ),
    (
        "Could not resolve|Name or service not known|not known",
        _py("no machine of this name is known: correct it in deploy/inventory.ini."),
    ),
    (
        "Connection refused|timed out|No route to host|Network is unreachable",
        _py("ssh does not answer there: does the machine run, and is the name in deploy/inventory.ini the right one?"),
    ),
    (
        "Connection reset|Broken pipe|closed by|Shared connection",
        _py("the connection broke, and the machine may go on alone: deploy/servers.sh status tells."),
    ),
)

#: Where Ansible puts them
SAYING = ("msg", "stderr", "module_stderr", "extract_results", "exception", "stdout")


class CallbackModule(CallbackBase):
    """_("Source: Ansible's Developer Guide, Developing plugins, Callback plugins.")"""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "lines"

    def __init__(self):
        super().__init__()
        self.ended = threading.Event()
        #: Whoever started Ansible wants to know what the server answers, and no more.
        self.quiet = "QUIET" in os.environ

    def v2_runner_on_start(self, host, task):
        """_("With a dot each second. A step without a name is not worth a line.")"""
        if not task.name or self.quiet:
            return
        self.ended = threading.Event()
        print(f"{host.name}: {task.get_name()}", end=" ", flush=True)
        threading.Thread(target=self.show_dots, args=(self.ended,), daemon=True).start()

    def show_dots(self, ended):
        while not ended.wait(1):
            print(".", end="", flush=True)

    def end_line(self, task):
        if task.name and not self.ended.is_set() and not self.quiet:
            self.ended.set()
            print(flush=True)

    def v2_runner_on_ok(self, result):
        self.end_line(result._task)
        if result._task.action.endswith(".command"):
            self.show(result._result.get("stdout"), sys.stdout)
            self.show(result._result.get("stderr"), sys.stderr)

    def v2_runner_on_skipped(self, result):
        self.end_line(result._task)

    def v2_runner_on_unreachable(self, result):
        self.v2_runner_on_failed(result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self.end_line(result._task)
        found = result._result
        said = "\n".join(str(found[part]) for part in SAYING if found.get(part))
        #: It has run: what the site's own commands say needs no other words.
        if result._task.action.endswith(".command") and "start" in found:
            self.show(found["stdout"], sys.stdout)
            self.show(found["stderr"], sys.stderr)
            return
        host = result._host.name
        for pattern, sentence in REASONS:
            if re.search(pattern, said):
                self.show(f"{host}: {sentence.format(host=host)}", sys.stderr)
                return
        self.show(f"{host}: {said}", sys.stderr)

    def show(self, text, stream):
        if text:
            print(text, file=stream, flush=True)
