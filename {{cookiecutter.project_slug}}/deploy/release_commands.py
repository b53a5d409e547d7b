"""_("What deploy/release.py does its steps with: it shows them, and runs commands as the right user.")"""

import ctypes
import http.client
import os
import pwd
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress

LAST_LINES = 12
PR_SET_PDEATHSIG = 1  # prctl(2)
LIBC = ctypes.CDLL(None)


class Failed(Exception):
    """_("Ends the release, for the reason given; step names where it happened.")"""

    step = None

    def __init__(self, text, **values):
        super().__init__(text.format(**values) if values else text)


def say(text, end="\n", **values):
    """_("At once. Where the terminal is gone, the release goes on.")"""
    line = (text.format(**values) if values else text) + end
    with suppress(OSError):
        os.write(1, line.encode(errors="replace"))


@contextmanager
def step(text, **values):
    """_("Says what is being done, with a dot each second.")"""
    text = text.format(**values)
    say(text, end=" ")
    signal.signal(signal.SIGALRM, lambda *_: say(".", end=""))
    signal.setitimer(signal.ITIMER_REAL, 1, 1)
    try:
        yield
    except (Failed, OSError) as error:
        failure = error if isinstance(error, Failed) else Failed(str(error))
        failure.step = text
        raise failure from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        say("")


@contextmanager
def started(command, output, **options):
    """_("A command that goes on during the with block.")"""
    with subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        close_fds=False,
        **options,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def end_with(parent):
    """_("Called in a new process: it ends when this script does, even by kill -9. Linux only.")"""
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)


def run(*command, may_fail=False, **options):
    """_("Returns what the command says. Where it fails, its last lines are the reason.")"""
    with tempfile.TemporaryFile() as output:
        with started(command, output, **options) as process:
            code = process.wait()
        if code and not may_fail:
            raise Failed(last_lines(output))
        return text_of(output)


def text_of(output):
    output.seek(0)
    return output.read().decode(errors="replace").strip()


def last_lines(output):
    return "\n".join(text_of(output).splitlines()[-LAST_LINES:])


def listens(path):
    """_("Whether a program is at the other end of a UNIX socket.")"""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def ask(address, path, host):
    """_("Gets the status and the text of a page, by a new connection, as a proxy would.")"""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    connection = http.client.HTTPConnection(host)
    with socket.socket(family) as connection.sock:
        connection.sock.settimeout(30)
        connection.sock.connect(address)
        connection.request("GET", path, headers={"X-Forwarded-Proto": "https"})
        try:
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        except http.client.HTTPException as error:
            raise OSError(f"{path}: {error!r}") from error


class SiteUser:
    """_("The owner of var/ runs the site: root runs none of it, and writes nothing there.")"""

    def __init__(self, var):
        self.account = pwd.getpwuid(var.stat().st_uid)
        self.switched = os.geteuid() == 0
        if self.account.pw_uid != os.geteuid() and not self.switched:
            raise Failed(
                _py("{folder} belongs to {user}: only root and {user} may release. Use sudo."),
                folder=var,
                user=self.account.pw_name,
            )
        if self.account.pw_uid == 0:
            raise Failed(
                _py("{folder} belongs to root, and a site must not run as root: give it to another user (chown -R)."),
                folder=var,
            )

    @contextmanager
    def rights(self):
        """_("Within it, files are touched as this user.")"""
        if not self.switched:
            yield
            return
        os.setegid(self.account.pw_gid)
        os.seteuid(self.account.pw_uid)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(0)

    def options(self, **environment):
        """_("For started() and run(). Nothing of the caller's environment or terminal reaches the site.")"""
        home = self.account.pw_dir
        clean = {"PATH": "/usr/bin:/bin", "HOME": home, "LANG": "C.UTF-8"}
        options = {"env": clean | environment, "start_new_session": True}
        if self.switched:
            name, group = self.account.pw_name, self.account.pw_gid
            options["user"] = self.account.pw_uid
            options["group"] = group
            options["extra_groups"] = os.getgrouplist(name, group)
        return options
