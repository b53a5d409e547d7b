"""What a site costs: processor, memory, seconds; and how that grows with visitors and sites."""

import http.client
import json
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TypeVar

import processes
from load import CLIENTS, visitors
from sites import SUPERVISORD_CONF, Shell, await_answer
from ways import Running, program

WRITERS = 8
SLOW_VISITORS = 4
# So many that every worker has served some.
REQUESTS_TO_WARM_UP = 400


@dataclass
class Load:
    """A site under load."""

    requests_per_second: float
    # Milliseconds: on a processor for each request, and until the response was there.
    cpu: float
    latency: float
    p99: float
    # On a processor, too: of the server that has the data.
    database_cpu: float

    @property
    def whole_cpu(self) -> float:
        return self.cpu + self.database_cpu


def load(
    site: Running,
    path: str,
    seconds: float,
    clients: int = CLIENTS,
    port: int | None = None,
    database: int | None = None,
) -> Load:
    """Asks for this page all the time, for so many seconds after a first one; at nginx's port, say."""

    def cpu_seconds() -> tuple[float, float]:
        servers = [database] if database else []
        return processes.cpu_seconds(site.sessions), processes.cpu_seconds(servers)

    with visitors(port or site.way.port, path, clients=clients) as visits:
        begin, before = time.monotonic(), cpu_seconds()
        time.sleep(seconds)
        end, after = time.monotonic(), cpu_seconds()
    if visits.failures:
        raise RuntimeError(f"{path}: {visits}")
    milliseconds = [1000 * duration for duration in visits.durations]
    served = sum(begin <= arrival <= end for arrival in visits.arrivals)
    cpu, database_cpu = (1000 * (b - a) / served for a, b in zip(before, after, strict=True))
    return Load(
        served / (end - begin),
        cpu,
        statistics.median(milliseconds),
        statistics.quantiles(milliseconds, n=100)[98],
        database_cpu,
    )


def p99_beside_slow_ones(site: Running, seconds: float) -> float:
    """Milliseconds of a visitor's quick requests while others ask for the slow page all the time."""
    slow = visitors(site.way.port, "/slow", clients=SLOW_VISITORS)
    with slow, visitors(site.way.port, clients=1, rest=0.01) as visits:
        time.sleep(seconds)
    return 1000 * statistics.quantiles(visits.durations, n=100)[98]


@dataclass
class Machine:
    """Sites that run side by side."""

    seconds_to_start: float
    memory: float


Rounds = TypeVar("Rounds", Load, Machine)


def median(rounds: Sequence[Rounds]) -> Rounds:
    """The median of each number."""
    first = rounds[0]
    names = [field.name for field in fields(first)]
    return replace(
        first, **{name: statistics.median(getattr(one, name) for one in rounds) for name in names}
    )


def article_machine(shell: Shell, projects: Sequence[Path], ports: Sequence[int]) -> Machine:
    """The recipe's sites: one supervisord, a program for each."""
    config = shell.folder / "supervisord.conf"
    programs = [
        program(f"site-{number}", project, port)
        for number, (project, port) in enumerate(zip(projects, ports, strict=True))
    ]
    config.write_text(SUPERVISORD_CONF + "".join(programs))
    return side_by_side(shell, {config: projects[0]}, ports)


def template_machine(shell: Shell, projects: Sequence[Path], ports: Sequence[int]) -> Machine:
    """The template's sites: each has a supervisord of its own."""
    configs = {project / "deploy" / "supervisord.conf": project for project in projects}
    return side_by_side(shell, configs, ports)


def side_by_side(shell: Shell, configs: dict[Path, Path], ports: Sequence[int]) -> Machine:
    """Starts a supervisord for each config, with the programs of its project's venv."""
    sessions: list[int] = []
    with ExitStack() as stack:
        # Comes last: what a supervisord could not end.
        stack.callback(processes.kill_all, sessions)
        begin = time.perf_counter()
        for number, (config, project) in enumerate(configs.items()):
            own = shell.in_folder(f"output-{number}")
            command = (project / "venv" / "bin" / "supervisord", "--nodaemon", "-c", config)
            process = stack.enter_context(own.started(*command))
            sessions.append(process.pid)
        for port in ports:
            await_answer(own, process, port)
        seconds = time.perf_counter() - begin
        for port in ports:
            warm_up(port)
        return Machine(seconds, processes.memory(sessions))


def warm_up(port: int) -> None:
    """Lets every worker load what it needs for a page."""

    def get(_: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/")
        connection.getresponse().read()
        connection.close()

    with ThreadPoolExecutor(CLIENTS) as clients:
        for _ in clients.map(get, range(REQUESTS_TO_WARM_UP)):
            pass


@dataclass
class Writing:
    """What became of the transactions of several writers."""

    commits: int
    locked: int
    seconds: float

    @property
    def commits_per_second(self) -> float:
        return self.commits / self.seconds

    @property
    def locked_share(self) -> float:
        return self.locked / (self.commits + self.locked)


def write(shell: Shell, project: Path, seconds: float, *options: str) -> Writing:
    """Lets writers.py write into a new database, with the settings of the project."""
    package = next(project.glob("*/wsgi.py")).parent.name
    shell = shell.having(DJANGO_SETTINGS_MODULE=f"{package}.settings", PYTHONPATH=str(project))
    python, script = project / "venv" / "bin" / "python", Path(__file__).with_name("writers.py")
    with shell.in_new_folder() as own:
        database = own.folder / "db.sqlite3"
        own.run(python, script, database, str(WRITERS), str(seconds), *options)
        found = json.loads(own.output.read_text())
    return Writing(found["commits"], found["locked"], seconds)
