"""Makes a version of the template: checks, changelog, version, tag. See script/release.

Two commits: the first is the version, and the tag is on it. The second names the first in
versions.txt, as no commit can name itself, and begins the next one.
"""

import datetime
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from local_extensions.jinja import template_version

VERSIONS, CHANGELOG = ROOT / "versions.txt", ROOT / "CHANGELOG.md"
BRANCH = "main"
# https://semver.org/, without what stands behind the three numbers
SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
UNRELEASED = "## [Unreleased]\n"
# What a reader looks for first: that nothing is to be done is said, too.
YOURS = "### What you must do\n"

Version = tuple[int, ...]


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("Name one version: script/release 1.2.3")
    name = sys.argv[1]
    present = template_version()
    require_order(name, present)
    require_clean()
    require_git(name)
    changelog = dated(name)
    test = subprocess.run([ROOT / "script" / "test", "--all"], check=False)
    if test.returncode:
        sys.exit(f"{name} was not made: script/test --all fails (see above); mend that first.")
    # The tests take long: somebody may have gone on working.
    require_clean()
    before = git("rev-parse", "HEAD").strip()
    try:
        make(name, present, changelog)
    except subprocess.CalledProcessError as error:
        # A hook, say, or a tag that cannot be signed
        if git("tag", "--list", name):
            git("tag", "--delete", name)
        git("reset", "--quiet", "--hard", before)
        reason = f"git {error.cmd[1]} failed (see above)"
        sys.exit(f"{name} was not made, and nothing has changed: {reason}.")
    print(f"{name} is made. To publish it: git push --follow-tags")


def make(name: str, present: str, changelog: str) -> None:
    CHANGELOG.write_text(changelog, encoding="utf-8")
    replace_first_line(present, name)
    git("commit", "--quiet", "--all", f"--message=Version {name}")
    git("tag", "--annotate", f"--message=Version {name}", name)
    commit = git("rev-parse", "HEAD").strip()
    replace_first_line(name, f"{following(name)}\n{name} {commit}")
    git("commit", "--quiet", "--all", f"--message=After version {name}")


def replace_first_line(old: str, new: str) -> None:
    text = VERSIONS.read_text(encoding="utf-8")
    VERSIONS.write_text(text.replace(f"\n{old}\n", f"\n{new}\n", 1), encoding="utf-8")


def parsed(name: str) -> Version:
    found = SEMVER.fullmatch(name)
    return tuple(map(int, found.groups())) if found else ()


def following(name: str) -> str:
    """What the template is after this version: before the next one, by SemVer."""
    major, minor, patch = parsed(name)
    return f"{major}.{minor}.{patch + 1}-dev"


def require_order(name: str, present: str) -> None:
    version = parsed(name)
    if not version:
        sys.exit(f"{name} is no version: write three numbers, like 1.2.3 (https://semver.org/).")
    least = present.removesuffix("-dev")
    if version < parsed(least):
        sys.exit(f"{name} is not above the last version: name {least}, or a greater one.")


def require_clean() -> None:
    branch = git("branch", "--show-current").strip()
    if branch != BRANCH:
        sys.exit(f"The branch is {branch or 'none'}: a version is made on {BRANCH} (git switch).")
    if changed := git("status", "--porcelain"):
        sys.exit(f"These files are not committed; commit them, or move them away:\n{changed}")


def require_git(name: str) -> None:
    """What it would refuse in the end, when the tests have passed."""
    if git("tag", "--list", name):
        sys.exit(f"There is a tag {name} already: name a greater version, or git tag --delete it.")
    known = subprocess.run(
        ["git", "var", "GIT_COMMITTER_IDENT"], cwd=ROOT, capture_output=True, check=False
    )
    if known.returncode:
        sys.exit("git does not know who you are: set user.name and user.email by git config.")


def dated(name: str) -> str:
    """The changelog with its unreleased changes as this version, and place for new ones."""
    before, heading, after = CHANGELOG.read_text(encoding="utf-8").partition(UNRELEASED)
    changes = re.split(r"^## ", after, maxsplit=1, flags=re.MULTILINE)[0]
    if not heading or not re.search(r"^- ", changes, re.MULTILINE):
        sys.exit(
            f"CHANGELOG.md has no change below {UNRELEASED.strip()}: there is nothing to make."
        )
    if not re.search(rf"^{re.escape(YOURS)}\n\S", changes, re.MULTILINE):
        sys.exit(
            f"CHANGELOG.md has no part {YOURS.strip()} below {UNRELEASED.strip()}: write it, and"
            " that nothing is to be done where it is so."
        )
    today = datetime.datetime.now(tz=datetime.timezone.utc).date()
    return f"{before}{UNRELEASED}\n## [{name}] - {today}\n{after}"


def git(*words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


if __name__ == "__main__":
    main()
