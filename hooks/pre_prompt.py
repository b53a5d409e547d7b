"""Asks in French where the locale is French; Cookiecutter runs this in a copy of the template.

It changes the prompts alone, never a default: `--no-input` makes the same project everywhere.
"""

import os
import sys

sys.path.insert(0, os.getcwd())

from local_extensions import prompts

prompts.mark_copy()
if prompts.wants_french(os.environ.copy()):
    prompts.translate_questions("cookiecutter.json")
