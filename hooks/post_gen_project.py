"""Validates what the answers gave on this machine; Cookiecutter deletes the project if it fails."""

import sys

sys.path.insert(0, {{ template_root | tojson }})
from local_extensions import project

# Cookiecutter looks at the ports while it renders this file: it has loaded the network modules.
taken = {{ cookiecutter | taken_addresses | tojson }}
sys.exit(project.validate({{ cookiecutter.language | tojson }}, taken))
