"""Makes a site from the template, starts it under supervisord and waits until it answers.

The site lives in the user's data folder (XDG Base Directory Specification), not in the template:
Cookiecutter may copy the template, and cannot copy a UNIX socket.
"""

import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

TEMPLATE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TEMPLATE))

from local_extensions import answers as rules
from local_extensions.ports import is_taken, split_address
from local_extensions.translations import gettext_noop, printable, translate

SECONDS_TO_ANSWER = 60
# Longer than stopwaitsecs in deploy/supervisord.conf: requests in progress end first.
SECONDS_TO_STOP = 60


def demo_folder() -> Path:
    """Where the demo lives: one project, in a folder of this template's own."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "django-gunicorn-supervisor"


class Failure(Exception):
    """Ends the script, with exit code 1: an English text of the catalogue, `details` fill it in."""

    def __init__(self, text: str, **details: object) -> None:
        super().__init__(text)
        self.text = text
        self.details = details


class Speaker:
    """Says the texts of the catalogue in the language of the demo."""

    def __init__(self, language: str) -> None:
        self.language = language

    def __call__(self, text: str, end: str = "\n", **details: object) -> None:
        message = translate(text, self.language).format(**details)
        print(printable(message, sys.stdout.encoding), end=end, flush=True)


def parse(arguments: list[str]) -> dict[str, str]:
    """`["language=fr"]` as a dict. Raises Failure for what is no answer of the template."""
    found = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals or name not in rules.RULES:
            raise Failure(
                gettext_noop(
                    "{argument} is no answer. Write NAME=VALUE, or stop; the names are: {names}."
                ),
                argument=argument,
                names=", ".join(rules.RULES),
            )
        found[name] = value
    return found


def projects() -> Iterator[Path]:
    """The generated projects in the demo's folder (one, or none)."""
    for config in demo_folder().glob("*/deploy/supervisord.conf"):
        yield config.parents[1]


def pid_of(project: Path) -> int | None:
    """The pid of this project's running supervisord."""
    try:
        pid = int((project / "var" / "supervisord.pid").read_text())
        os.kill(pid, 0)
    except (OSError, ValueError):
        return None
    return pid


def run(*command: str | Path, **options: Any) -> None:
    """Runs a command; where it fails, and has said why on stderr, ends this script with exit code 1."""
    if subprocess.run(command, check=False, **options).returncode:
        sys.exit(1)


def stop(say: Speaker) -> None:
    """Stops the demo, and waits until its last process is gone. Raises Failure where it hangs."""
    running = [(project, pid) for project in projects() if (pid := pid_of(project))]
    if not running:
        say(gettext_noop("No demo runs."))
    for project, pid in running:
        say(gettext_noop("Stopping {project} "), end="", project=project)
        deadline = time.monotonic() + SECONDS_TO_STOP
        # A supervisord that hangs does not answer supervisorctl either.
        with suppress(subprocess.TimeoutExpired):
            command = (project / "venv/bin/supervisorctl", "shutdown")
            run(*command, stdout=subprocess.DEVNULL, timeout=SECONDS_TO_STOP)
        while (still_runs := pid_of(project) == pid) and time.monotonic() < deadline:
            print(".", end="", flush=True)
            time.sleep(0.5)
        print()
        if still_runs:
            raise Failure(
                gettext_noop(
                    "supervisord (process {pid}) still runs after {seconds} s: kill -9 {pid} ends it."
                ),
                pid=pid,
                seconds=SECONDS_TO_STOP,
            )


def free_address(say: Speaker, address: str, used: set[str]) -> str:
    """The address, or the same with the next port that is free and not `used`, saying so."""
    host, _, port = address.rpartition(":")
    candidates = (f"{host}:{number}" for number in range(int(port), 65536))
    wanted = next(each for each in candidates if each not in used and not is_taken(each))
    if wanted != address:
        say(
            gettext_noop("{address} is taken; the demo uses {wanted}."),
            address=address,
            wanted=wanted,
        )
    return wanted


def choose_ports(say: Speaker, given: dict[str, str]) -> dict[str, str]:
    """The answers with free ports; an answer that breaks its rule is left to the template."""
    defaults = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
    chosen, used = dict(given), set[str]()
    for name in ("bind", "web_interface"):
        address = given.get(name, defaults[name])
        try:
            rules.RULES[name](address)
        except rules.Refused:
            continue
        if address != "off":
            chosen[name] = free_address(say, address, used)
            used.add(chosen[name])
    return chosen


def generate(chosen: dict[str, str]) -> Path:
    """Bakes the project anew and returns its folder."""
    folder = demo_folder()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    options = ("--no-input", "--default-config", "--output-dir", folder)
    extra = (f"{name}={value}" for name, value in chosen.items())
    run(sys.executable, "-m", "cookiecutter", *options, TEMPLATE, *extra)
    return next(projects())


def wait_until_it_answers(say: Speaker, bind: str) -> None:
    """Returns once the site answers 200; raises Failure after SECONDS_TO_ANSWER."""
    say(gettext_noop("Waiting for http://{address}/ "), end="", address=bind)
    deadline = time.monotonic() + SECONDS_TO_ANSWER
    while time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection(*split_address(bind), timeout=5)
            connection.request("GET", "/")
            if connection.getresponse().status == 200:
                print()
                return
        except OSError:
            pass
        print(".", end="", flush=True)
        time.sleep(0.5)
    print()
    raise Failure(gettext_noop("It did not answer in {seconds} s."), seconds=SECONDS_TO_ANSWER)


def start(say: Speaker, given: dict[str, str]) -> None:
    """Makes and starts the demo, and says how to look at it."""
    for project in projects():
        if pid_of(project):
            raise Failure(
                gettext_noop("A demo runs already, in {project}: script/demo stop ends it."),
                project=project,
            )
    chosen = choose_ports(say, given)
    project = generate(chosen)
    run(project / "bootstrap.sh")
    # A settings variable of this shell must not reach the site.
    environment = {"PATH": os.environ["PATH"], "HOME": str(Path.home())}
    config = project / "deploy" / "supervisord.conf"
    run(project / "venv/bin/supervisord", "--configuration", config, env=environment)
    wait_until_it_answers(say, chosen["bind"])
    say(gettext_noop("The site answers at http://{address}/"), address=chosen["bind"])
    say(gettext_noop("Look:  cd {project} && venv/bin/supervisorctl status"), project=project)
    say(gettext_noop("Stop:  script/demo stop"))


def main(arguments: list[str]) -> None:
    say = Speaker("en")
    try:
        if arguments == ["stop"]:
            stop(say)
            return
        given = parse(arguments)
        say = Speaker(given.get("language", "en"))
        start(say, given)
    except Failure as failure:
        message = translate(failure.text, say.language).format(**failure.details)
        sys.exit(printable(message, sys.stderr.encoding))


if __name__ == "__main__":
    main(sys.argv[1:])
