"""Asks in French where the locale is French; Cookiecutter runs this in a copy of the template.

It changes the prompts alone, never a default: `--no-input` makes the same project everywhere.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))

from local_extensions import prompts

if prompts.wants_french(os.environ):
    prompts.translate_questions(Path("cookiecutter.json"))
