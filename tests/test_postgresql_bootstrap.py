"""bootstrap.sh of a project with PostgreSQL: it makes its database, or says in a sentence what is missing."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.commands import SYSTEM, WITH_UV, Run
from support.postgresql import Cluster
from support.project import Project, copy_venv

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster(new_cluster: Callable[[], Cluster]) -> Cluster:
    """One that these tests may stop."""
    return new_cluster()


@pytest.fixture(scope="module")
def first(bake: Callable[..., Project], made_venv: Path, cluster: Cluster) -> Project:
    project = bake(project_slug="chess", database="postgresql")
    copy_venv(made_venv, project.path / "venv")
    bootstrap(project, PGHOST=str(cluster.path))
    return project


def database(project: Project) -> str:
    text = (project.path / ".env").read_text()
    return text.partition("DATABASE_URL=")[2].splitlines()[0]


def bootstrap(project: Project, check: bool = True, **environment: str) -> Run:
    return project.run("./bootstrap.sh", env={**WITH_UV, **environment}, check=check)


def test_two_sites_have_two_databases(first: Project, cluster: Cluster, folder: Path) -> None:
    """Also where one is a clone of the other; and each keeps its own."""
    assert database(first) == f"postgresql:///chess?host={cluster.path}"
    left_out = shutil.ignore_patterns(".env", "var", "venv", "local.conf")
    clone = Project(shutil.copytree(first.path, folder / "chess", ignore=left_out))
    (clone.path / "var" / "log").mkdir(parents=True)
    copy_venv(first.path / "venv", clone.path / "venv")
    bootstrap(clone, PGHOST=str(cluster.path))
    assert database(clone) == f"postgresql:///chess_2?host={cluster.path}"
    users = "SELECT count(*) FROM accounts_user"
    assert [cluster.sql(users, name) for name in ("chess", "chess_2")] == ["0", "0"]

    # Without its .env, a folder finds its database again; with it, nothing is left to do.
    (clone.path / ".env").unlink()
    bootstrap(clone, PGHOST=str(cluster.path))
    assert database(clone).startswith("postgresql:///chess_2?")
    assert "Preparing" not in bootstrap(clone).stdout
    # A database that the owner names is used as it is.
    cluster.sql(f'CREATE DATABASE named OWNER "{clone.path.owner()}"')
    (clone.path / ".env").write_text(f"DATABASE_URL={cluster.url('named')}\nSECRET_KEY=\n")
    bootstrap(clone)
    assert cluster.sql(users, "named") == "0"


@pytest.fixture
def new(bake: Callable[..., Project]) -> Project:
    return bake(project_slug="chess", database="postgresql")


def refusal(project: Project, **environment: str) -> str:
    """It comes before anything takes long, and leaves no .env behind."""
    done = bootstrap(project, check=False, **environment)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done
    assert not (project.path / ".env").exists()
    assert not (project.path / "venv").exists()
    return done.stderr


def test_what_postgresql_lacks_is_said(new: Project, cluster: Cluster, folder: Path) -> None:
    me = Path("/proc/self").owner()
    nowhere = f"PostgreSQL does not answer at {folder}/.s.PGSQL.5432: install it (sudo apt install"
    assert refusal(new, PGHOST=str(folder)).startswith(nowhere)

    programs = folder / "bin"
    programs.mkdir()
    for name in ("sh", "dirname", "python3"):
        (programs / name).symlink_to(shutil.which(name, path=SYSTEM) or "")
    without = refusal(new, PATH=str(programs), PGHOST=str(cluster.path))
    assert without.startswith("psql is missing, a program of PostgreSQL's: sudo apt install postg")

    cluster.sql(f'ALTER ROLE "{me}" NOCREATEDB')
    try:
        said = refusal(new, PGHOST=str(cluster.path))
    finally:
        cluster.sql(f'ALTER ROLE "{me}" CREATEDB')
    assert f"The role {me} may not make databases" in said
    assert f"""sudo -u postgres psql -c 'ALTER ROLE "{me}" CREATEDB'""" in said

    cluster.sql(f'ALTER ROLE "{me}" RENAME TO someone')
    try:
        said = refusal(new, PGHOST=str(cluster.path))
    finally:
        cluster.sql(f'ALTER ROLE someone RENAME TO "{me}"')
    assert said.startswith(f"PostgreSQL knows no role {me}: sudo -u postgres createuser --createdb")


def test_a_database_that_has_gone_is_said(first: Project, cluster: Cluster) -> None:
    (first.path / ".env").write_text(
        (first.path / ".env").read_text().replace("///chess?", "///chess_9?")
    )
    done = bootstrap(first, check=False)
    assert done.returncode == 1
    assert "There is no database chess_9: createdb chess_9 makes it" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_speaks_french(bake: Callable[..., Project], folder: Path) -> None:
    project = bake(language="fr", database="postgresql")
    assert refusal(project, PGHOST=str(folder)).startswith("PostgreSQL ne répond pas en ")
