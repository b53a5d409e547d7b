"""The files of the service as deploy/install.sh writes them."""

import sys

from .project import Project

FILLED = """
import sys
sys.path.insert(0, "deploy")
from server.service import filled
sys.stdout.write(filled(*sys.argv[1:]))
"""


def filled(project: Project, source: str, service: str = "supervisord") -> str:
    """A file of the project's deploy/ with its words filled in, by the project's own code."""
    return project.run(sys.executable, "-B", "-c", FILLED, source, service).stdout
