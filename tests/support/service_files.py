"""The files of the service as deploy/install.sh writes them."""

import json
import re
import subprocess
import sys
from pathlib import Path

from .project import Project

FILL = """
import json, sys
sys.path.insert(0, "deploy")
from server.service import filled
print(json.dumps([filled(source, "supervisord") for source in sys.argv[1:]]))
"""


def fill(project: Path, *sources: str) -> list[str]:
    """Files of the project's deploy/ with their words filled in, by the project's own code."""
    command = [sys.executable, "-B", "-c", FILL, *sources]
    texts: list[str] = json.loads(subprocess.check_output(command, cwd=project))
    return texts


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
