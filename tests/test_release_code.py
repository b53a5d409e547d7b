"""Which files of the code a release gets: what git tracks, or what .gitignore allows, as git reads it."""

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.commands import AS_USER, ENVIRONMENT, Run
from support.git import git
from support.project import Project

LIST = """
import json, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from server import code
for folder in sys.argv[2:]:
    print(json.dumps(sorted(code.files(Path(folder)))))
"""
# Names and patterns that meet one another often, in every form that people use.
NAMES = ["a", "b", "ab", "a.sql", "x.txt", ".env", ".env.local", ".env.example", "[x]", "a b", "b "]
PATTERNS = [
    *("a", "/a", "a/", "/a/", "*.sql", "a/*", "a/**", "**/a", "/b/**/a", "a/**/b", "/**", "**"),
    *("!a", "!/a", "!a/", "*", "!*.sql", "!.env.example", ".env*", "?", "[ab]", "[!a]*", "[a-c]b"),
    *("# x", "\\#x", "a b", "b\\ ", "\\[x\\]", "b/a.sql", "!b/", "**/b/", "*/a", "a*b", "", "  "),
    *("[z-a]", "[!]", "x.txt  ", "/", ".*", "!.gitignore"),
]


@pytest.fixture(scope="module")
def project(bake: Callable[..., Project]) -> Project:
    return bake(project_slug="shop")


def listed(project: Project, *folders: Path, **options: object) -> Run:
    command = [sys.executable, "-c", LIST, str(project.path / "deploy"), *map(str, folders)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload,no-any-return]


def files(project: Project, folder: Path) -> tuple[list[str], list[str]]:
    """The files that a release gets, and what is said of the others."""
    done = listed(project, folder)
    assert done.returncode == 0, done.stderr
    *said, names = done.stdout.splitlines()
    return json.loads(names), said


def fill(folder: Path, chance: random.Random, depth: int = 3) -> None:
    for name in chance.sample(NAMES, chance.randint(2, 6)):
        path = folder / name
        if depth and chance.random() < 0.45:
            path.mkdir()
            fill(path, chance, depth - 1)
        elif chance.random() < 0.1:
            path.symlink_to(chance.choice(NAMES))
        else:
            path.touch()
    if depth == 3 or chance.random() < 0.4:
        rules = chance.choices(PATTERNS, k=chance.randint(1, 5))
        (folder / ".gitignore").write_text("\n".join(rules) + "\n")


def test_without_git_it_reads_gitignore_as_git_does(project: Project, tmp_path: Path) -> None:
    """Random folders; git itself says what it would ignore."""
    folders = [tmp_path / str(number) for number in range(100)]
    for number, folder in enumerate(folders):
        folder.mkdir()
        fill(folder, random.Random(number))
    done = listed(project, *folders)
    assert done.stderr == ""
    for folder, line in zip(folders, done.stdout.splitlines(), strict=True):
        git(folder, "init", "--quiet")
        left = git(folder, "ls-files", "-z", "--others", "--exclude-standard").split("\0")[:-1]
        # What belongs to the folder of the code is no release's anyway.
        wanted = sorted(name for name in left if name.split("/")[0] != ".env")
        assert json.loads(line) == wanted, folder


def test_the_gitignore_of_a_site_keeps_secrets_and_data_out(
    project: Project, bake: Callable[..., Project]
) -> None:
    code = bake(project_slug="kept").path
    before = files(project, code)[0]
    out = [".env.production", "dump.sql", "old.sqlite3", "wheels/x.whl", "node_modules/x/y.js"]
    for name in [*out, "pages/new.py"]:
        (code / name).parent.mkdir(parents=True, exist_ok=True)
        (code / name).write_text("x")
    assert files(project, code) == (sorted([*before, "pages/new.py"]), [])
    assert {".env.example", "manage.py", "deploy/release.sh"} < {*before}
    assert not any(name.startswith("var/") for name in before)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    code = tmp_path / "code"
    code.mkdir()
    git(code, "init", "--quiet", "--initial-branch=main")
    for name in ("kept", "gone", "sub/deep", "line\nbreak", ".env", "var/log/x"):
        (code / name).parent.mkdir(parents=True, exist_ok=True)
        (code / name).write_text("x")
    (code / "link").symlink_to("kept")
    (code / ".gitignore").write_text("*.sql\n")
    git(code, "add", ".")
    git(code, "commit", "--quiet", "--message=x")
    return code


TRACKED = [".gitignore", "kept", "line\nbreak", "link", "sub/deep"]


def test_in_a_checkout_what_git_tracks_is_copied(project: Project, checkout: Path) -> None:
    """Also from a worktree, from a folder of the repository, and from another user's."""
    (checkout / "gone").unlink()
    git(checkout, "commit", "--quiet", "--all", "--message=gone")
    assert files(project, checkout) == (TRACKED, [])
    git(checkout, "worktree", "add", "--quiet", "../tree")
    assert files(project, checkout.parent / "tree") == (TRACKED, [])
    assert files(project, checkout / "sub") == (["deep"], [])
    if AS_USER:
        subprocess.run(["chown", "-R", "nobody", checkout], check=True)
        assert files(project, checkout) == (TRACKED, [])


def test_changes_and_what_stays_out_are_said(project: Project, checkout: Path) -> None:
    """A tracked file that was deleted is none; one that was added counts."""
    (checkout / "gone").unlink()
    (checkout / "kept").write_text("changed")
    for name in ("added", "dump.sql", *(f"new{number}" for number in range(7))):
        (checkout / name).write_text("x")
    (checkout / "node_modules").mkdir()
    (checkout / "node_modules" / "x").touch()
    git(checkout, "add", "added")
    assert files(project, checkout) == (
        sorted([*TRACKED, "added"]),
        [
            "With the changes that are not committed yet.",
            "Left out, as git does not track it (8 in all): new0, new1, new2, new3, new4",
        ],
    )


def test_a_submodule_is_part_of_the_code(project: Project, checkout: Path) -> None:
    other = checkout.parent / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    (other / "inside").touch()
    git(other, "add", ".")
    git(other, "commit", "--quiet", "--message=x")
    git(checkout, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other))
    git(checkout, "commit", "--quiet", "--message=x")
    assert {"other/inside", ".gitmodules"} <= {*files(project, checkout)[0]}
    git(checkout, "submodule", "--quiet", "deinit", "--force", "other")
    assert "other" not in files(project, checkout)[0]


def test_without_a_git_program_or_a_tracked_file_gitignore_counts(
    project: Project, checkout: Path
) -> None:
    (checkout / "new").touch()
    done = listed(project, checkout, env={**ENVIRONMENT, "PATH": "/nowhere"})
    assert '"new"' in done.stdout
    outside = checkout / "untracked"
    outside.mkdir()
    (outside / "x").touch()
    (outside / "x.sql").touch()
    (outside / ".gitignore").write_text("*.sql\n")
    assert files(project, outside) == ([".gitignore", "x"], [])
