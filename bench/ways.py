"""Three ways to run the project that the template generates. Only the deployment differs."""

import os
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import nginx
import processes
import sites
from processes import Process
from sites import (
    PROGRAM,
    SUPERVISORD_CONF,
    Shell,
    await_answer,
    by_template,
    free_port,
    generate,
)

# Pages that the template has not. Others shall not wait for the slow one. The one that reads lists rows
# of two tables; the one that writes saves what a view does with a counter: a row that it reads before.
SLOW_SECONDS = 4
MORE_PAGES = f"""
import random
import time

from django.contrib.auth.models import Permission
from django.contrib.sessions.models import Session
from django.http import HttpResponse
from django.utils import timezone


def slow(request):
    time.sleep({SLOW_SECONDS})
    return HttpResponse("slow\\n")


def reads(request):
    found = Permission.objects.select_related("content_type")[:20]
    return HttpResponse("".join(f"<p>{{one}}</p>\\n" for one in found))


def writes(request):
    values = {{"expire_date": timezone.now()}}
    Session.objects.update_or_create(session_key=f"{{random.randrange(100)}}", defaults=values)
    return HttpResponse("written\\n")


urlpatterns += [path("slow", slow), path("reads", reads), path("writes", writes)]
"""


class Way(ABC):
    """A site in a folder of its own: how it is started, and how it gets new code."""

    letter: str
    # Where its supervisord, its config and its code stand.
    bin: Path
    config: Path
    code: Path

    def __init__(self, shell: Shell) -> None:
        self.shell = shell
        self.port = free_port()

    @abstractmethod
    def release(self, line: str) -> None:
        """Puts the code with this line at the end of its settings into service, or tries to."""

    def write_code(self, line: str) -> None:
        """Changes the settings of the code."""
        settings = next(self.code.glob("*/settings.py"))
        text = settings.read_text().partition("# The release\n")[0]
        settings.write_text(f"{text}# The release\n{line}\n")

    def add_pages(self) -> None:
        with next(self.code.glob("*/urls.py")).open("a") as urls:
            urls.write(MORE_PAGES)

    def supervisorctl(self, *words: str) -> int:
        """Its exit status."""
        with self.shell.started(self.bin / "supervisorctl", "-c", self.config, *words) as process:
            return process.wait()

    @contextmanager
    def running(self) -> Iterator["Running"]:
        """The site under its supervisord; no process of it is left after the block."""
        with ExitStack() as stack:
            site = Running(self, stack)
            # Comes last: what supervisord could not end.
            stack.callback(processes.kill_all, site.sessions)
            await_answer(site.shell, site.start(), self.port)
            yield site


class Article(Way):
    """The recipe of 2010. New code is written over the old, and the program is restarted."""

    letter = "A"
    command: tuple[str, ...] = ("restart", "site")

    def __init__(self, shell: Shell, template: Path, *answers: str) -> None:
        super().__init__(shell)
        self.code = by_template(template, shell, self.port, *answers).folder
        self.add_pages()
        self.bin = self.code / "venv" / "bin"
        self.config = shell.folder / "supervisord.conf"
        self.config.write_text(SUPERVISORD_CONF + program("site", self.code, self.port))

    def release(self, line: str) -> None:
        self.write_code(line)
        self.supervisorctl(*self.command)


class ArticleWithHUP(Article):
    """The same, but the master is told to replace its workers."""

    letter = "B"
    command = ("signal", "HUP", "site")


class ArticleWithLog(Article):
    """The recipe of 2010 with gunicorn's log of each request: the template writes one too."""

    letter = "A+"

    def __init__(self, shell: Shell, template: Path, *answers: str) -> None:
        super().__init__(shell.having(GUNICORN_CMD_ARGS="--access-logfile -"), template, *answers)


def program(name: str, folder: Path, port: int) -> str:
    """The recipe's section for a site."""
    package = next(folder.glob("*/wsgi.py")).parent.name
    return PROGRAM.format(name=name, folder=folder, port=port, package=package)


class Template(Way):
    """The template as delivered: releases in folders of their own, deploy/release.sh."""

    letter = "C"

    def __init__(self, shell: Shell, template: Path, *answers: str) -> None:
        super().__init__(shell)
        addresses = f"bind=127.0.0.1:{self.port}", f"web_interface=127.0.0.1:{free_port()}"
        generate(template, shell, *addresses, *answers)
        self.code = next(shell.folder.glob("*/bootstrap.sh")).parent
        self.name_address()
        self.add_pages()
        current = shell.folder / "server" / "current"
        self.bin, self.config = current / "venv" / "bin", current / "deploy" / "supervisord.conf"
        self.release("")
        if not self.config.exists():
            shell.fail()

    def name_address(self) -> None:
        """Has nginx know the site by the address that all visitors here ask for."""
        facts = self.code / "deploy" / "server" / "facts.py"
        facts.write_text(facts.read_text().replace("www.example.com", "127.0.0.1"))

    def release(self, line: str) -> None:
        self.write_code(line)
        command = self.code / "deploy" / "release.sh"
        with self.shell.started(command, "--into", self.shell.folder / "server") as process:
            process.wait()


@contextmanager
def behind_nginx(way: Way) -> Iterator[int]:
    """Puts nginx in front of the way's site, and gives its port."""
    command = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if command is None:
        sys.exit("nginx is missing: sudo apt install nginx-light")
    port = free_port()
    with way.shell.in_new_folder() as shell:
        options = nginx.configure(shell.folder, way.code, "http.conf", {80: port})
        with shell.started(command, *options) as process:
            await_answer(shell, process, port)
            yield port


class Running:
    """A site while it runs."""

    def __init__(self, way: Way, stack: ExitStack) -> None:
        self.way = way
        self.stack = stack
        # The pid of each supervisord since the beginning, which is its session's number too.
        self.sessions: list[int] = []

    def start(self) -> subprocess.Popen[bytes]:
        """Starts supervisord, the first or another."""
        command = (self.way.bin / "supervisord", "--nodaemon", "-c", self.way.config)
        process = self.stack.enter_context(self.shell.started(*command))
        self.sessions.append(process.pid)
        self.supervisord = process
        return process

    def kill_supervisord(self) -> None:
        """kill -9: it cannot end what it has started."""
        self.supervisord.kill()
        self.supervisord.wait()

    @property
    def shell(self) -> Shell:
        """Where supervisord's output goes: a folder of its own."""
        return self.way.shell.in_folder("supervisord")

    def masters(self) -> list[Process]:
        """The gunicorn masters: all that supervisord starts here."""
        return [p for p in processes.of_sessions(self.sessions) if p.parent in self.sessions]

    def workers(self) -> list[Process]:
        """The processes that the masters have started."""
        masters = {process.pid for process in self.masters()}
        return [p for p in processes.of_sessions(self.sessions) if p.parent in masters]

    def in_order(self) -> bool:
        """Whether all runs that should, and nothing of a supervisord that is gone."""
        answers = sites.answers(self.way.port)
        return answers and self.way.supervisorctl("status") == 0 and not self.has_orphans()

    def has_orphans(self) -> bool:
        """Whether something is left of a supervisord that is gone."""
        return bool(processes.of_sessions(self.sessions[:-1]))
