"""Checks what the answers gave on this machine; Cookiecutter deletes the project if it fails."""

import sys

sys.path.insert(0, {{ "%r" | format(template_root) }})
from local_extensions import post_gen_checks

# Cookiecutter looks at the ports while it renders this file: it has loaded the network modules.
taken = {{ "%r" | format(cookiecutter | taken_addresses) }}
sys.exit(post_gen_checks.validate("{{ cookiecutter.language }}", taken))
