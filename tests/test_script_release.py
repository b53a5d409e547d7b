"""script/release in a clone, where passing every test is a matter of a moment."""

import datetime
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.commands import Run
from support.git import commit_all, git
from support.template import ROOT, read

Change = Callable[[Path], None]
YOURS = "### What you must do\n\n- Nothing.\n\n"


@pytest.fixture
def clone(folder: Path) -> Path:
    """A template with the script, its files, and a script/test that passes unless told otherwise."""
    clone = folder / "template"
    (clone / "script").mkdir(parents=True)
    shutil.copy(ROOT / "script" / "release.py", clone / "script")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "local_extensions", clone / "local_extensions", ignore=ignored)
    shutil.copy(ROOT / ".gitignore", clone)
    test = clone / "script" / "test"
    test.write_text('#!/bin/sh\n[ "$1" = --all ] && ! [ -e ../fails ]\n')
    test.chmod(0o755)
    (clone / "versions.txt").write_text("# The versions.\n1.0.0-dev\n\n# Older.\nbefore 12ab\n")
    (clone / "CHANGELOG.md").write_text(
        f"# Changelog\n\n## [Unreleased]\n\n{YOURS}### Added\n\n- A thing.\n"
    )
    git(clone, "init", "--quiet", "--initial-branch", "main")
    git(clone, "config", "user.name", "Test")
    git(clone, "config", "user.email", "test@example.com")
    commit_all(clone)
    return clone


def release(clone: Path, *arguments: str) -> Run:
    return subprocess.run(
        [sys.executable, "script/release.py", *arguments],
        cwd=clone,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_makes_one_version_after_the_other(clone: Path) -> None:
    today = datetime.datetime.now(tz=datetime.timezone.utc).date()
    done = release(clone, "1.0.0")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "1.0.0 is made. To publish it: git push --follow-tags\n"
    first = git(clone, "rev-parse", "1.0.0^{commit}").strip()
    assert git(clone, "show", "1.0.0:versions.txt").splitlines()[1] == "1.0.0"
    assert (clone / "versions.txt").read_text() == (
        f"# The versions.\n1.0.1-dev\n1.0.0 {first}\n\n# Older.\nbefore 12ab\n"
    )
    heading = f"## [Unreleased]\n\n## [1.0.0] - {today}\n\n"
    assert f"{heading}{YOURS}### Added\n\n- A thing." in (clone / "CHANGELOG.md").read_text()
    assert git(clone, "status", "--porcelain") == ""

    changelog = clone / "CHANGELOG.md"
    text = changelog.read_text()
    changelog.write_text(text.replace("## [1.0.0]", f"{YOURS}### Fixed\n\n- A bug.\n\n## [1.0.0]"))
    commit_all(clone)
    assert release(clone, "1.1.0").returncode == 0
    second = git(clone, "rev-parse", "1.1.0^{commit}").strip()
    lines = (clone / "versions.txt").read_text().splitlines()
    assert lines[1:4] == ["1.1.1-dev", f"1.1.0 {second}", f"1.0.0 {first}"]
    versions = re.findall(r"^## \[(.*?)\]", changelog.read_text(), re.MULTILINE)
    assert versions == ["Unreleased", "1.1.0", "1.0.0"]


def test_the_changelog_says_what_each_version_asks_for() -> None:
    """As script/release wants it of the next one; after a version, nothing is there yet."""
    _, *parts = re.split(r"^## ", read("CHANGELOG.md"), flags=re.MULTILINE)
    assert parts[0].startswith("[Unreleased]\n")
    for part in parts:
        assert "\n- " not in part or re.search(r"\n### What you must do\n\n\S", part), part


def untracked(clone: Path) -> None:
    (clone / "notes").touch()


def branch(clone: Path) -> None:
    git(clone, "switch", "--quiet", "--create", "other")


def without(part: str) -> Change:
    def change(clone: Path) -> None:
        changelog = clone / "CHANGELOG.md"
        changelog.write_text(changelog.read_text().replace(part, ""))
        commit_all(clone)

    return change


def tagged(clone: Path) -> None:
    git(clone, "tag", "1.0.0")


def nobody(clone: Path) -> None:
    git(clone, "config", "user.name", "")


def hooked(clone: Path) -> None:
    hook = clone / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)


def unsigned(clone: Path) -> None:
    git(clone, "config", "tag.gpgsign", "true")
    git(clone, "config", "gpg.program", "false")


def failing(clone: Path) -> None:
    (clone.parent / "fails").touch()


@pytest.mark.parametrize(
    ("change", "arguments", "sentence"),
    [
        (None, [], "Name one version: script/release 1.2.3"),
        (
            None,
            ["1.0"],
            "1.0 is no version: write three numbers, like 1.2.3 (https://semver.org/).",
        ),
        (None, ["v1.0.0"], "v1.0.0 is no version: write three numbers"),
        (None, ["0.9.9"], "0.9.9 is not above the last version: name 1.0.0, or a greater one."),
        (
            untracked,
            ["1.0.0"],
            "These files are not committed; commit them, or move them away:\n?? n",
        ),
        (branch, ["1.0.0"], "The branch is other: a version is made on main (git switch)."),
        (
            without(f"{YOURS}### Added\n\n- A thing.\n"),
            ["1.0.0"],
            "CHANGELOG.md has no change below ## [Unreleased]:",
        ),
        (without(YOURS), ["1.0.0"], "CHANGELOG.md has no part ### What you must do below ## [U"),
        (tagged, ["1.0.0"], "There is a tag 1.0.0 already: name a greater version, or git tag --d"),
        (nobody, ["1.0.0"], "git does not know who you are: set user.name and user.email by git"),
        (hooked, ["1.0.0"], "1.0.0 was not made, and nothing has changed: git commit failed"),
        (unsigned, ["1.0.0"], "error: gpg failed to sign the data"),
        (failing, ["1.0.0"], "1.0.0 was not made: script/test --all fails (see above); mend that"),
    ],
    ids=[
        *("nothing", "two", "letter", "less", "untracked", "branch", "no change", "no part"),
        *("tag", "nobody", "hook", "signature", "test"),
    ],
)
def test_what_cannot_be_a_version_is_refused(
    clone: Path, change: Change | None, arguments: list[str], sentence: str
) -> None:
    if change:
        change(clone)
    before = git(clone, "rev-parse", "HEAD"), git(clone, "tag")
    done = release(clone, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(sentence)
    assert (git(clone, "rev-parse", "HEAD"), git(clone, "tag")) == before
    assert git(clone, "diff", "HEAD") == ""
