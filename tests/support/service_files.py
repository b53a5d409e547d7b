"""The files of the service as deploy/install.sh writes them."""

import json
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


def filled(project: Project, source: str) -> str:
    """One of them."""
    return fill(project.path, source)[0]
