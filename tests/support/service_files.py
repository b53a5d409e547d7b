"""The files of the service as deploy/install.sh writes them."""

import re
from pathlib import Path

from nginx import fill

from .project import Project


def name_folder(project: Path, folder: Path) -> None:
    """Makes this the folder of the site, as whoever moves it does.

    As an answer it would be refused where the tests' folder is in memory, below /dev.
    """
    facts = project / "deploy" / "server" / "facts.py"
    text, number = re.subn(r"(?m)^FOLDER = .*", f'FOLDER = "{folder}"', facts.read_text())
    assert number == 1
    facts.write_text(text)


def filled(project: Project, source: str) -> str:
    """One of them."""
    return fill(project.path, source)[0]
