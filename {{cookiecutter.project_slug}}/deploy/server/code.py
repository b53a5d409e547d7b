"""_("Which files of the code a release gets: what git tracks; without git, what .gitignore allows.")"""

import os
import re
import shutil
import subprocess

from .commands import Failed, say

#: What belongs to the folder of the code, not to a release, even where git tracks it
LEFT_OUT = (".git", ".env", "var", "venv", "deploy/web_interface.conf")
#: What a release has beside them, for this may be the folder of one
LEFT_OUT += (".previous", ".warnings")
#: Of the untracked files, so many are named.
NAMED = 5
#: In a pattern of .gitignore, what is more than a letter; longer ones first
WILDCARDS = {
    "/**/": "/(?:.*/)?",
    "**/": "(?:.*/)?",
    "/**": "/.*",
    "*": "[^/]*",
    "?": "[^/]",
}


def copy(code, names, folder):
    """_("Links stay links, and of the modes what matters: whether a file runs.")"""
    for name in names:
        source, target = code / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copy2(source, target, follow_symlinks=False)
        except PermissionError:
            text = _py("{file} cannot be read: run this as its owner, or as root.")
            raise Failed(text, file=source) from None
        if not target.is_symlink():
            target.chmod(0o755 if source.stat().st_mode & 0o100 else 0o644)


def files(code):
    """_("The names of the files that are copied; says which of them git does not know as they are, and which it does not know at all.")"""
    names = tracked(code) or allowed(code)
    return sorted(
        name
        for name in names
        if not any(f"{name}/".startswith(f"{each}/") for each in LEFT_OUT)
        and (os.path.islink(code / name) or os.path.isfile(code / name))
    )


def tracked(code):
    """_("Empty without git, or where it tracks nothing here.")"""
    names = git(code, "ls-files", "--recurse-submodules")
    if names:
        untracked = git(code, "ls-files", "--others", "--exclude-standard", "--directory")
        if git(code, "status", "--porcelain", "--untracked-files=no", "."):
            say(_py("With the changes that are not committed yet."))
        if untracked:
            shown = untracked[:NAMED]
            if len(untracked) > NAMED:
                shown.append(_py("and {number} more").format(number=len(untracked) - NAMED))
            text = _py("Left out, as git does not track it: {names}")
            say(text, names=", ".join(shown))
    return names


def git(code, *words):
    """_("The names that it says; none where it is missing, or where this is no checkout.")"""
    #: Root may ask in another's checkout; nothing is written there.
    options = ("-c", "safe.directory=*", "-c", "core.fsmonitor=false", "--no-optional-locks")
    command = ("git", *options, "-C", code, *words, "-z")
    try:
        said = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    return [os.fsdecode(name) for name in said.split(b"\0") if name]


def allowed(code, folder="", rules=()):
    """_("The files that no .gitignore ignores: of a folder's rules, the last one that fits counts.")"""
    rules = [*rules, *read_rules(code, folder)]
    for entry in os.scandir(code / folder):
        name, is_folder = folder + entry.name, entry.is_dir(follow_symlinks=False)
        fitting = [
            ignores
            for pattern, folders_only, ignores in rules
            if pattern.fullmatch(name) and (is_folder or not folders_only)
        ]
        if entry.name == ".git" or fitting and fitting[-1]:
            continue
        if is_folder:
            yield from allowed(code, f"{name}/", rules)
        else:
            yield name


def read_rules(code, folder):
    """_("The rules of the .gitignore in this folder: a pattern of whole names, whether it is for folders only, whether it ignores.")"""
    path = code / folder / ".gitignore"
    if not path.is_file():
        return
    for line in path.read_text("utf-8-sig", errors="replace").splitlines():
        line = re.sub(r"(?<!\\) +$", "", line)
        again = line.startswith("!")
        glob = line[again:]
        if not glob.strip("/") or line.startswith("#"):
            continue
        anchored = "/" in glob.rstrip("/")
        pattern = re.escape(folder) + ("" if anchored else "(?:.*/)?")
        pattern += translate(glob.strip("/"))
        yield re.compile(pattern, re.DOTALL), glob.endswith("/"), not again


def translate(glob):
    """_("A pattern of .gitignore as a regular expression.")"""
    parts = r"^\*\*/|/\*\*/|/\*\*$|\*+|\?|\[[!^]?\]?[^]]*\]|\\.|."

    def regular(found):
        part = found[0]
        if part[0] == "[" and len(part) > 1:
            return "[" + re.sub("^[!^]", "^", part[1:-1]).replace("\\", "\\\\") + "]"
        if part[0] == "\\":
            return re.escape(part[1:])
        return WILDCARDS.get(part, "[^/]*" if part[0] == "*" else re.escape(part))

    return re.sub(parts, regular, glob, flags=re.DOTALL)
