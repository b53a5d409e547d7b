"""Validates what the answers gave on this machine; Cookiecutter deletes the project if it fails."""

import sys
from pathlib import Path

sys.path.insert(0, {{ template_root | tojson }})
from local_extensions import project

sys.exit(project.validate(Path.cwd(), {{ cookiecutter.language | tojson }}))
