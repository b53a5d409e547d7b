"""Refuses wrong answers that no question asked for: from a replay file, or from the API."""

import sys

# Cookiecutter renders this file before it runs it; the rules have run by then.
message = {{ cookiecutter | refusal | tojson }}

if message:
    sys.stderr.reconfigure(errors="replace")
    sys.exit(message)
