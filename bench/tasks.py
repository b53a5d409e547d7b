"""Compares the tasks of a site with those of Celery's own example for supervisord.

    script/bench tasks [--rounds N]

Both do the same in the same site, with the same packages, each with a Redis of its own; they take
turns. On standard error a dot is a second; the table goes to standard output.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

import processes
from progress import in_temporary_folder, note
from sites import SECONDS_TO_ANSWER, Shell, by_template, copy_template, free_port, shells

TASKS = """

@shared_task
def nothing():
    pass


@shared_task
def started(queued):
    with open(settings.VAR / "started", "a") as file:
        print(time.time() - queued, file=file)
"""
HEAD = """\
# What tasks cost

`script/bench tasks` has written this. Beside the template stands the example that Celery has for
supervisord, in the same site, with the same packages and a Redis of its own.
"""
# Celery's extra/supervisord/celeryd.conf and celerybeat.conf, with the broker's socket and names.
PEER = """
import os

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

os.environ["DJANGO_SETTINGS_MODULE"] = "my_site.settings"
app = Celery("peer", broker=os.environ["PEER"])
TRANSPORT_ALIASES["redis"] = "kombu.transport.redis:Transport"
app.autodiscover_tasks(["pages"])
"""
PROGRAMS = """
[unix_http_server]
file = {folder}/var/peer.ctl
[supervisord]
pidfile = {folder}/var/peer.pid
logfile = {folder}/var/log/peer.log
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl = unix://{folder}/var/peer.ctl
[program:redis]
command = redis-server --port 0 --unixsocket {folder}/var/peer.sock --save "" --appendonly yes
directory = {folder}/var/log
priority = 1
[program:celery]
command = {folder}/venv/bin/celery -A peer worker --loglevel=INFO
directory = {folder}
stopwaitsecs = 600
killasgroup = true
priority = 998
[program:celerybeat]
command = {folder}/venv/bin/celery -A peer beat --schedule {folder}/var/peer.beat --loglevel=INFO
directory = {folder}
priority = 999
"""
# Of what a site has beside its tasks, only theirs are counted.
OURS = ("redis", "worker", "beat")
NUMBER, SINGLE = 2000, 100
ASK = """
import json, sys, time
sys.path.insert(0, ".")
from {module} import app
import django
django.setup()
from pages.tasks import nothing, started
size = lambda: app.connection_for_read().default_channel.client.llen("celery")
app.set_current()
start = time.time()
for _ in range({number}):
    nothing.delay()
queued = time.time() - start
while size():
    time.sleep(0.01)
done = time.time() - start
for _ in range({single}):
    started.delay(time.time())
    time.sleep(0.05)
time.sleep(1)
print(json.dumps([queued, done]))
"""


def measure(work: Path) -> None:
    rounds = arguments().rounds
    shell = shells(work)[1].having(TMPDIR=str(work))
    template = copy_template(work / "template")
    note("making the site")
    site = by_template(template, shell, free_port(), "tasks=celery")
    tasks = site.folder / "pages" / "tasks.py"
    tasks.write_text(tasks.read_text().replace('"""\n', '"""\n\nimport time\n', 1) + TASKS)
    (site.folder / "peer.py").write_text(PEER)
    own = site.folder / "deploy" / "supervisord.conf"
    theirs = site.folder / "var" / "peer.conf"
    theirs.write_text(PROGRAMS.format(folder=site.folder))
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    with ExitStack() as stack:
        for name, config in (("template", own), ("example", theirs)):
            daemon = site.in_folder("var").in_folder(name)
            command = (site.folder / "venv/bin/supervisord", "--nodaemon", "-c", config)
            peer = f"redis+socket://{site.folder}/var/peer.sock"
            process = stack.enter_context(daemon.having(PEER=peer).started(*command))
            stack.callback(processes.kill_all, [process.pid])
        await_redis(site)
        time.sleep(10)
        for _ in range(rounds):
            for name in ("template", "example"):
                measured = figures(site, name)
                for figure, value in measured.items():
                    found[figure, name].append(value)
                note(f"{name}: {measured}")
    print(HEAD)
    print(f"{describe(site)}, {rounds} rounds, medians\n")
    print("| figure | template | Celery's example | ratio |\n|---|---|---|---|")
    for figure in dict.fromkeys(figure for figure, _ in found):
        ours, example = (statistics.median(found[figure, name]) for name in ("template", "example"))
        print(f"| {figure} | {ours:.3g} | {example:.3g} | {ours / example:.2f} |")


def describe(site: Shell) -> str:
    """The machine, its load, and the versions that both run with."""
    celery = re.findall(r"(?m)^celery==(\S+)", (site.folder / "requirements.txt").read_text())[0]
    redis = (
        subprocess.check_output(("redis-server", "--version"), text=True)
        .split()[2]
        .removeprefix("v=")
    )
    processors = f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"
    return f"{processors}, Python {platform.python_version()}, celery {celery}, Redis {redis}"


def await_redis(site: Shell) -> None:
    deadline = time.monotonic() + SECONDS_TO_ANSWER
    while not all((site.folder / "var" / f"{name}.sock").exists() for name in ("redis", "peer")):
        if time.monotonic() > deadline:
            sys.exit("Redis does not come up.")
        time.sleep(0.1)


def figures(site: Shell, name: str) -> dict[str, float]:
    """Of the one that is named: its memory, tasks per second, and milliseconds from queue to start."""
    started = site.folder / "var" / "started"
    started.unlink(missing_ok=True)
    module = {"template": "my_site.celery", "example": "peer"}[name]
    code = ASK.format(module=module, number=NUMBER, single=SINGLE)
    peer = f"redis+socket://{site.folder}/var/peer.sock"
    environment = {**site.environment, "PEER": peer, "DJANGO_SETTINGS_MODULE": "my_site.settings"}
    said = subprocess.check_output(
        (site.folder / "venv/bin/python", "-c", code), cwd=site.folder, env=environment, text=True
    )
    queued, done = json.loads(said.splitlines()[-1])
    waits = [1000 * float(line) for line in started.read_text().split()]
    return {
        "MiB of worker, beat and Redis (PSS)": processes.pss(of(site, name)),
        "tasks queued per second": NUMBER / queued,
        "tasks done per second": NUMBER / done,
        "ms from queue to start, median": statistics.median(waits),
        "ms from queue to start, p99": statistics.quantiles(waits, n=100)[98],
    }


def of(site: Shell, name: str) -> list[int]:
    """The pids of its programs and of their children."""
    config = {"template": "deploy/supervisord.conf", "example": "var/peer.conf"}[name]
    command = (site.folder / "venv/bin/supervisorctl", "-c", site.folder / config, "pid")
    programs = {"template": OURS, "example": ("redis", "celery", "celerybeat")}[name]
    pids = [int(subprocess.check_output((*command, each), text=True)) for each in programs]
    return pids + [process.pid for process in processes.of_sessions(pids)]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    in_temporary_folder(measure)
