"""_("Adds packages and upgrades them: renews the locks, requirements.txt and requirements-dev.txt, by the venv's uv.")"""

import os
import re

from .commands import Failed, run, say, step
from .options import Parser
from .site_folder import CODE
from .venvs import normal

UV = CODE / "venv" / "bin" / "uv"
WANTED = CODE / "requirements.in"
#: The second one takes its versions from the first; the third is that of deploy/servers.sh.
LOCKS = ("requirements.txt", "requirements-dev.txt", "deploy/ansible/requirements.txt")
LOCKS = tuple(CODE / name for name in LOCKS)
#: The header of each lock names it: Dependabot looks there.
COMPILE = "pip compile --universal --python-version 3.10 --generate-hashes --no-annotate {name}.in -o {name}.txt"
#: What may stand in requirements.in: django, celery[redis], "django>=5.2,<5.3"
REQUIREMENT = re.compile(r"([A-Za-z0-9][\w.-]*)(\[[\w,.-]+\])?([<>=!~].+)?")


def main(words):
    parser = Parser(
        "./packages.sh",
        _py("Renews the lists of all packages, with the version and the fingerprint of each."),
        _py("add writes to requirements.in, upgrade takes newer versions of these packages or of all; without either, requirements.in may have changed."),
    )
    parser.word("action", "add|upgrade", _py("what else to do"))
    parser.word("names", _py("NAME"), _py("a package, as django"), nargs="*")
    asked = parser.parse(words)
    if not UV.exists():
        raise Failed(_py("uv is missing in the venv: ./bootstrap.sh --dev adds it."))
    before, known = contents(), versions()
    text, options = changes(asked, known)
    try:
        WANTED.write_text(text, encoding="utf-8")
        for lock in LOCKS:
            name = lock.relative_to(CODE)
            with step(_py("Renewing {lock}"), lock=name):
                renew(name.with_suffix(""), options)
    except BaseException:
        for file, content in before.items():
            file.write_bytes(content)
        raise
    say_what_changed(known, versions())
    if contents() == before:
        say(_py("Nothing has changed."))
    else:
        say(
            _py("Now run ./bootstrap.sh, which installs what the lists say, and your tests."),
        )


def contents():
    return {file: file.read_bytes() for file in (WANTED, *LOCKS)}


def versions():
    """_("By name, of all that is locked. Another Python may have another version.")"""
    found = {}
    for lock in LOCKS:
        for pin in re.finditer(r"^([\w.-]+)==(\S+)", lock.read_text(), re.MULTILINE):
            found.setdefault(pin[1], set()).add(pin[2])
    return {name: ", ".join(sorted(each)) for name, each in found.items()}


def changes(asked, known):
    """_("The new text of requirements.in, and uv's options.")"""
    text = WANTED.read_text(encoding="utf-8")
    if asked.action == "add":
        return added(asked.names, text), ()
    if asked.action == "upgrade":
        return text, upgrades(asked.names, known)
    if asked.action:
        error = _py("{action} is unknown: write add, upgrade or nothing; ./packages.sh --help says more.")
        raise Failed(error, action=asked.action)
    return text, ()


def added(names, text):
    if not names:
        raise Failed(_py("add needs the name of a package: ./packages.sh add NAME"))
    there = {normal(name) for name in re.findall(r"^[\w.-]+", text, re.MULTILINE)}
    for name in names:
        found = REQUIREMENT.fullmatch(name)
        if not found:
            error = _py("\"{name}\" is not the name of a package: write django, say, or with a choice of versions \"django>=5.2,<5.3\".")
            raise Failed(error, name=name)
        if normal(found[1]) in there:
            error = _py("{name} stands in requirements.in already: ./packages.sh upgrade {name}, or change its line there.")
            raise Failed(error, name=found[1])
    return "\n".join([text.rstrip(), *names, ""])


def upgrades(names, known):
    for name in names:
        if normal(name) not in known:
            error = _py("{name} is not in requirements.txt or requirements-dev.txt: ./packages.sh add {name} adds it.")
            raise Failed(error, name=name)
    return [f"--upgrade-package={name}" for name in names] or ["--upgrade"]


def renew(name, options):
    words = COMPILE.format(name=name)
    #: Not by a Python that uv would download
    own = ("--quiet", "--no-python-downloads", "--python", UV.with_name("python"))
    environment = {**os.environ, "UV_CUSTOM_COMPILE_COMMAND": f"uv {words}"}
    run(UV, *words.split(), *own, *options, cwd=CODE, env=environment)


def say_what_changed(before, after):
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old != new:
            say(f"  {name}: {old or '-'} → {new or '-'}")
