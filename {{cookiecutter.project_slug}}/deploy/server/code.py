"""_("Which files of the code a release gets: what git tracks; without git, what .gitignore allows.")"""

import os
import re
import shutil
import stat
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path

from .commands import Failed, run, say

#: What belongs to the folder of the code, not to a release, even where git tracks it
LEFT_OUT = (".git", ".env", "var", "venv")
LEFT_OUT += ("deploy/web_interface.conf", "deploy/local.conf")
#: What a release has beside them, for this may be the folder of one
LEFT_OUT += (".previous", ".warnings")
#: What deploy/servers.sh puts beside the code that it sends: the name of its commit
COMMIT = ".commit"
#: Of the untracked files, so many are named.
NAMED = 5


def copy(code, names, folder):
    """_("Links stay links, and of the modes what matters: whether a file runs.")"""
    for name in names:
        source, target = code / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with readable():
            shutil.copy2(source, target, follow_symlinks=False)
        if not target.is_symlink():
            target.chmod(0o755 if source.stat().st_mode & 0o100 else 0o644)


def files(code):
    """_("The names of those that are copied. Of git's, a file may be missing here; a submodule that is not here is a folder.")"""
    with readable():
        return [
            name
            for name in tracked(code) or sorted(allowed(code))
            if not any(f"{name}/".startswith(f"{each}/") for each in LEFT_OUT)
            and is_file(code / name)
        ]


@contextmanager
def readable():
    """_("Says which file is not.")"""
    try:
        yield
    except PermissionError as error:
        text = _py("{file} cannot be read: run this as its owner, or as root.")
        raise Failed(text, file=error.filename) from None


def is_file(path):
    with suppress(FileNotFoundError, NotADirectoryError):
        mode = path.lstat().st_mode
        return stat.S_ISREG(mode) or stat.S_ISLNK(mode)
    return False


def tracked(code):
    """_("Empty without git, or where it tracks nothing here.")"""
    names = git(code, "ls-files", "--recurse-submodules")
    if names:
        others = ("--others", "--exclude-standard", "--directory")
        untracked = git(code, "ls-files", *others)
        if git(code, "status", "--porcelain", "--untracked-files=no", "."):
            say(_py("With the changes that are not committed yet."))
        if untracked:
            text = _py("Left out, as git does not track it ({number} in all): {names}")
            shown = ", ".join(untracked[:NAMED])
            say(text, number=len(untracked), names=shown)
    return names


def git(code, *words):
    """_("The names that it says; none where it is missing, or where this is no checkout.")"""
    #: Root may ask in another's checkout; nothing is written there.
    safe = "--no-optional-locks -c safe.directory=* -c core.fsmonitor=false"
    command = ("git", *safe.split(), "-C", code, *words, "-z")
    try:
        said = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    return [os.fsdecode(name) for name in said.split(b"\0") if name]


def allowed(code, folder="", rules=()):
    """_("The files that no .gitignore ignores: of the rules that fit, the last one counts.")"""
    rules = [*rules, *read_rules(code, folder)]
    for entry in os.scandir(code / folder):
        name, is_folder = folder + entry.name, entry.is_dir(follow_symlinks=False)
        ignored = entry.name == ".git"
        for pattern, of_folders, ignores in rules:
            if pattern.fullmatch(f"/{name}") and (is_folder or not of_folders):
                ignored = ignores
        if not ignored and is_folder:
            yield from allowed(code, f"{name}/", rules)
        elif not ignored:
            yield name


def read_rules(code, folder):
    """_("Those of one .gitignore: a pattern, whether it is for folders alone, whether it ignores.")"""
    path = code / folder / ".gitignore"
    text = path.read_text("utf-8-sig", errors="replace") if path.is_file() else ""
    for line in text.splitlines():
        again = line.startswith("!")
        glob = re.sub(r"(?<!\\) +$", "", line[again:])
        if glob.strip("/") and not line.startswith("#"):
            #: Without a slash, it is for the folders below, too.
            start = "/" if "/" in glob.rstrip("/") else "/**/"
            pattern = translate(start + glob.strip("/"))
            here = re.escape(f"/{folder}"[:-1])
            #: git, too, passes over what is no pattern.
            with suppress(re.error):
                regular = re.compile(here + pattern, re.DOTALL)
                yield regular, glob.endswith("/"), not again


def translate(glob):
    """_("A pattern of .gitignore as a regular expression.")"""
    wildcards = {"/**/": "/(?:.*/)?", "/**": "/.*", "*": "[^/]*", "?": "[^/]"}

    def regular(found):
        part = found[0]
        if found["letters"]:
            return f"[{re.sub('^!', '^', found['letters'])}]"
        return wildcards.get(part) or re.escape(part.removeprefix("\\"))

    parts = r"/\*\*/|/\*\*$|\*|\?|\[(?P<letters>[!^]?\]?[^]]*)\]|\\.|."
    return re.sub(parts, regular, glob, flags=re.DOTALL)


@contextmanager
def packed(code, commit="HEAD"):
    """_("A commit as a .tar.gz, as long as the block lasts; its name is in the file .commit.")"""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        name = name_of(code, commit)
        if commit == "HEAD" and (left_out := git(code, "status", "--porcelain", ".")):
            text = _py("Left out, as it is not committed ({number} in all): {names}")
            names = [change[3:] for change in left_out[:NAMED]]
            say(text, number=len(left_out), names=", ".join(names))
        (folder / COMMIT).write_text(f"{name}\n")
        archive = folder / "code.tar.gz"
        command = ("git", "-C", code, "archive", f"--add-file={folder / COMMIT}")
        run(*command, "--output", archive, commit)
        yield archive


def name_of(code, commit="HEAD"):
    """_("Short, as git shows it.")"""
    if names := git(code, "log", "-1", "--format=%h", commit):
        return names[0]
    if commit == "HEAD":
        text = _py("{folder} has no commit yet, and a commit is what is sent: git init, git add --all, git commit")
        raise Failed(text, folder=code)
    text = _py("The servers have commit {commit}, and {folder} does not know it: git fetch, then try again.")
    raise Failed(text, commit=commit, folder=code)
