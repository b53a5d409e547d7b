"""A PostgreSQL of the tests' own, as an ordinary user, which nobody reaches but by its socket."""

import getpass
import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .commands import AS_USER, ENVIRONMENT, USER, Run, lack

# Debian keeps the server's programs of each version apart, outside PATH.
DEBIAN = Path("/usr/lib/postgresql")
# Nothing of a test outlives the machine: PostgreSQL need not wait for a disk.
SETTINGS = """\
listen_addresses = ''
unix_socket_directories = '{socket}'
fsync = off
shared_buffers = 16MB
# Not in /dev/shm, where a PostgreSQL that was killed would leave it.
dynamic_shared_memory_type = mmap
"""
# The superuser's name on Debian
SUPERUSER = "postgres"


@cache
def programs() -> Path:
    """The folder of the newest PostgreSQL's programs; without them the test cannot be."""
    versions = sorted(DEBIAN.glob("[0-9]*"), key=lambda path: int(path.name))
    path = os.pathsep.join([*(f"{one}/bin" for one in versions[-1:]), ENVIRONMENT["PATH"]])
    return Path(shutil.which("initdb", path=path) or lack("postgresql is not installed")).parent


@dataclass
class Cluster:
    """A server with its data. Who may be on this machine may be whoever he says."""

    path: Path
    # The words that start its programs elsewhere: see support/namespaces.py
    inside: tuple[str, ...] = ()

    @classmethod
    def make(cls, path: Path) -> "Cluster":
        """Makes one in this folder, with a role for each user that the tests play, and starts it."""
        path.mkdir()
        if AS_USER:
            shutil.chown(path, USER)
        cluster = cls(path)
        name = f"--username={SUPERUSER}"
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        cluster.program("initdb", "--pgdata=data", name, *options)
        with (path / "data" / "postgresql.conf").open("a") as settings:
            settings.write(SETTINGS.format(socket=path))
        cluster.start()
        for role in sorted({getpass.getuser(), USER}):
            cluster.sql(f'CREATE ROLE "{role}" LOGIN CREATEDB')
        return cluster

    def program(self, name: str, *arguments: str) -> Run:
        """One of PostgreSQL's own, as the user to whom the data belong."""
        done = subprocess.run(
            [*self.inside, *AS_USER, str(programs() / name), *arguments],
            cwd=self.path,
            env={**ENVIRONMENT, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{name} {arguments}:\n{done.stdout}"
        return done

    def start(self) -> None:
        """Returns when it answers."""
        # Its output goes into the file: through a pipe, it would hold that open.
        self.program("pg_ctl", "start", "--wait", "--silent", "--pgdata=data", "--log=log")

    def stop(self, mode: str = "fast") -> None:
        """Ends it, with the connections that are open; "immediate" is as if it had crashed."""
        self.program("pg_ctl", "stop", "--wait", "--silent", "--pgdata=data", f"--mode={mode}")

    def end(self) -> None:
        """Ends it for good, however a test has left it."""
        if (self.path / "data" / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self.path)

    def set(self, **settings: str) -> None:
        """Changes settings, and starts it anew with them."""
        with (self.path / "data" / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = {value}\n" for name, value in settings.items())
        self.stop()
        self.start()

    @property
    def environment(self) -> dict[str, str]:
        """What leads programs to it; its port is the usual one, of which the socket has the name."""
        return {"PGHOST": str(self.path)}

    def url(self, database: str) -> str:
        """What stands in .env for one of its databases."""
        return f"postgresql:///{database}?host={self.path}"

    def sql(self, statement: str, database: str = "postgres") -> str:
        """What psql says to it, as the superuser: rows in lines, columns between |."""
        options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]
        names = [f"--username={SUPERUSER}", f"--dbname={database}", f"--command={statement}"]
        return self.program("psql", *options, *names).stdout.strip()

    @property
    def log(self) -> str:
        return (self.path / "log").read_text()
