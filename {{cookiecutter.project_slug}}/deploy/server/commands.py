"""_("Runs commands, shows what is being done, and says in a sentence what failed.")"""

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress

PR_SET_PDEATHSIG = 1  # prctl(2)
LIBC = ctypes.CDLL(None)
#: Lines of a failed command's output that are shown
SHOWN_LINES = 12
#: What ends a command early
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Failed(Exception):
    """_("Ends the command, for the reason given. step names where it happened.")"""

    step = None

    def __init__(self, text, code=1, **values):
        super().__init__(text.format(**values) if values else text)
        self.code = code


class Interrupted(BaseException):
    """_("A signal ends the command: no failure that somebody knows how to deal with.")"""


def say(text, end="\n", **values):
    """_("Shows it at once. Where the terminal is gone, the command goes on.")"""
    line = (text.format(**values) if values else text) + end
    with suppress(OSError):
        os.write(1, line.encode(errors="replace"))


def confirmed(question, **values):
    """_("Asks on the terminal; no answer means no.")"""
    say(question, end="", **values)
    return sys.stdin.readline().strip().lower() in ("y", "yes", "o", "oui")


def complain(failure):
    """_("Shows the failure on standard error.")"""
    with suppress(OSError):
        print(failure, file=sys.stderr)
        if step := getattr(failure, "step", None):
            print(_py("It failed:"), f"{step}.", file=sys.stderr)


@contextmanager
def step(text, **values):
    """_("Says what is being done, with a dot each second.")"""
    text = text.format(**values)
    say(text, end=" ")
    signal.signal(signal.SIGALRM, lambda *_: say(".", end=""))
    signal.setitimer(signal.ITIMER_REAL, 1, 1)
    try:
        yield
    except (Failed, OSError, Interrupted) as error:
        failure = Failed(str(error)) if isinstance(error, OSError) else error
        failure.step = text
        raise failure from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        say("")


@contextmanager
def started(command, output, **options):
    """_("Starts a command that goes on during the with block.")"""
    me = os.getpid()

    def end_with_me():
        """_("Called in the new process: it ends when this one does, even by kill -9. Linux only.")"""
        if sys.platform == "linux":
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != me:
                os._exit(1)

    with subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        #: It inherits what lock() has locked.
        close_fds=False,
        **{"start_new_session": True, "preexec_fn": end_with_me, **options},
    ) as process:
        try:
            yield process
        except BaseException:
            #: What it has started ends too, and frees the lock: a second try need not wait.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            raise
        finally:
            process.terminate()


@contextmanager
def uninterrupted():
    """_("A signal that comes within the block takes effect at its end.")"""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def on_signals(handler):
    for number in SIGNALS:
        signal.signal(number, handler)


def raise_once(error):
    """_("What a signal does; only the first one: whoever presses Ctrl-C twice does not interrupt the way back.")"""

    def interrupt(number, frame):
        on_signals(signal.SIG_IGN)
        raise error

    on_signals(interrupt)


def run_into(output, *command, **options):
    """_("Runs a command whose output goes to a file. Where it fails, its last lines are the reason.")"""
    with started(command, output, **options) as process:
        if process.wait():
            raise Failed(last_lines(output))


def run(*command, **options):
    """_("As run_into(), but returns what the command says.")"""
    with tempfile.TemporaryFile() as output:
        run_into(output, *command, **options)
        return text_of(output)


def text_of(output):
    output.seek(0)
    return output.read().decode(errors="replace").strip()


def last_lines(output):
    return "\n".join(text_of(output).splitlines()[-SHOWN_LINES:])


def lock(file, refusal, **values):
    """_("Locks the file, or refuses. Commands inherit the lock: it is gone with the last of them, however they end.")"""
    descriptor = os.open(file, os.O_CREAT | os.O_RDWR, 0o600)
    os.set_inheritable(descriptor, True)
    #: Those of a run that was killed end within a moment.
    for _ in range(10):
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(0.1)
    raise Failed(refusal, **values)
