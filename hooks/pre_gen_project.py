"""Refuses the wrong answers of a replay file: no rule has seen them after a question."""

import sys

# Cookiecutter renders this file before it runs it: the rules look at the answers then.
message = {{ "%r" | format(cookiecutter | refusal) }}

if message:
    sys.stderr.reconfigure(errors="replace")
    sys.exit(message)
