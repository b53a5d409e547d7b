"""packages.sh: what it writes into requirements.in and the locks, with packages that the tests make."""

import difflib
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support.commands import ENVIRONMENT, Run
from support.project import Project
from support.wheels import tiny_wheel

pytestmark = pytest.mark.slow

WANTED = """\
# What the site needs
Web>=1,<3
# Your own
"""
WANTED_TO_DEVELOP = "-c requirements.txt\nlint\n"
WANTED_TO_SEND = "sender\n"
LOCKS = ("requirements.txt", "requirements-dev.txt", "deploy/ansible/requirements.txt")
NEXT = "Now run ./bootstrap.sh, which installs what the lists say, and your tests.\n"


@dataclass
class Packages:
    """A project whose packages come from one folder."""

    project: Project
    index: Path

    def run(self, *words: str, check: bool = True) -> Run:
        environment = {**ENVIRONMENT, "UV_CONFIG_FILE": str(self.index / "uv.toml")}
        return self.project.run("./packages.sh", *words, env=environment, check=check)

    def files(self) -> dict[str, str]:
        return {
            name: (self.project.path / name).read_text() for name in ("requirements.in", *LOCKS)
        }

    def changed(self, *words: str) -> tuple[list[str], str]:
        """The lines that a run has changed, without their fingerprints; what it has said of them."""
        before = self.files()
        said = self.run(*words).stdout.splitlines(keepends=True)
        steps = [line.rstrip(" .\n") for line in said[: len(LOCKS)]]
        assert steps == [f"Renewing {lock}" for lock in LOCKS]
        lines = []
        for name, text in self.files().items():
            pair = (before[name].splitlines(), text.splitlines())
            lines += [
                f"{line[0]}{line[2:]}".removesuffix(" \\")
                for line in difflib.ndiff(*pair)
                if line[0] in "+-" and "--hash" not in line
            ]
        return lines, "".join(said[len(LOCKS) :])


def make_wheels(index: Path, *packages: str) -> None:
    """Two of them need base."""
    for name, version in map(str.split, packages):
        tiny_wheel(index, name, version, needs="base" if name in ("web", "lint") else "")


@pytest.fixture(scope="module")
def first(bake: Callable[..., Project], short_folder: Path) -> Packages:
    """The locks are written; then newer packages have come out."""
    project = bake(project_slug="shop")
    (project.path / "venv" / "bin").mkdir(parents=True)
    for tool in ("uv", "python"):
        (project.path / "venv" / "bin" / tool).symlink_to(Path(sys.executable).with_name(tool))
    (project.path / "requirements.in").write_text(WANTED)
    (project.path / "requirements-dev.in").write_text(WANTED_TO_DEVELOP)
    (project.path / "deploy/ansible/requirements.in").write_text(WANTED_TO_SEND)
    for lock in LOCKS:
        (project.path / lock).write_text("")
    index = short_folder / "index"
    index.mkdir()
    (index / "uv.toml").write_text(f'no-index = true\nfind-links = ["{index}"]\n')
    packages = Packages(project, index)
    make_wheels(index, "web 1", "lint 1", "base 1", "photo 1", "sender 1")
    packages.run()
    make_wheels(index, "web 2", "web 3", "lint 2", "base 2")
    return packages


@pytest.fixture
def packages(first: Packages, folder: Path) -> Packages:
    """A copy, for the test to change."""
    shutil.copytree(first.project.path, folder / "shop", symlinks=True)
    return replace(first, project=Project(folder / "shop"))


def test_a_second_run_changes_nothing(packages: Packages) -> None:
    """The header is the one that the template's own lock has."""
    before = packages.files()
    assert packages.changed() == ([], "Nothing has changed.\n")
    assert packages.files() == before
    for lock in LOCKS:
        delivered = Path(__file__).parents[1] / "{{cookiecutter.project_slug}}" / lock
        assert before[lock].splitlines()[:2] == delivered.read_text().splitlines()[:2]


def test_an_upgrade_changes_the_lines_of_that_package_alone(packages: Packages) -> None:
    lines, said = packages.changed("upgrade", "WEB")
    assert lines == ["-web==1", "+web==2"]
    assert said == f"  web: 1 → 2\n{NEXT}"


def test_what_both_lists_have_stays_the_same_in_both(packages: Packages) -> None:
    lines, said = packages.changed("upgrade", "base")
    assert lines == ["-base==1", "+base==2"] * 2
    assert said == f"  base: 1 → 2\n{NEXT}"


def test_everything_can_be_upgraded(packages: Packages) -> None:
    _, said = packages.changed("upgrade")
    assert said == f"  base: 1 → 2\n  lint: 1 → 2\n  web: 1 → 2\n{NEXT}"


def test_a_package_is_added(packages: Packages) -> None:
    lines, said = packages.changed("add", "photo>=1,<2")
    assert lines == ["+photo>=1,<2", "+photo==1"]
    assert packages.files()["requirements.in"] == f"{WANTED}photo>=1,<2\n"
    assert said == f"  photo: - → 1\n{NEXT}"


def test_a_line_taken_out_by_hand_goes_from_the_lock(packages: Packages) -> None:
    (packages.project.path / "requirements.in").write_text("base\n")
    lines, said = packages.changed()
    assert lines == ["-web==1"]
    assert said == f"  web: 1 → -\n{NEXT}"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["add"], "add needs the name of a package: ./packages.sh add NAME"),
        (
            ["add", "web"],
            "web stands in requirements.in already: ./packages.sh upgrade web, or change its line there.",
        ),
        (
            ["add", "photo", "./photo"],
            '"./photo" is not the name of a package: write django, say, or with a choice of versions "django>=5.2,<5.3".',
        ),
        (
            ["upgrade", "photo"],
            "photo is not in requirements.txt or requirements-dev.txt: ./packages.sh add photo adds it.",
        ),
        (
            ["remove", "web"],
            "remove is unknown: write add, upgrade or nothing; ./packages.sh --help says more.",
        ),
        (["--add"], "--add is not an option; ./packages.sh --help lists them."),
    ],
)
def test_what_cannot_be_is_said(packages: Packages, words: list[str], sentence: str) -> None:
    before = packages.files()
    done = packages.run(*words, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{sentence}\n")
    assert packages.files() == before


def test_a_package_that_does_not_exist_leaves_everything_as_it_was(packages: Packages) -> None:
    before = packages.files()
    done = packages.run("add", "photo", "unknown", check=False)
    assert done.returncode == 1
    assert "unknown was not found" in done.stderr
    assert done.stderr.endswith("\nIt failed: Renewing requirements.txt.\n")
    assert packages.files() == before


def test_without_uv_it_says_where_it_comes_from(packages: Packages) -> None:
    (packages.project.path / "venv" / "bin" / "uv").unlink()
    done = packages.run("upgrade", check=False)
    assert done.stderr == "uv is missing in the venv: ./bootstrap.sh --dev adds it.\n"
    assert done.returncode == 1
