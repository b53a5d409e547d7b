"""Asks in French where the locale is French; Cookiecutter runs this in a copy of the template.

It changes the prompts alone, never a default: `--no-input` makes the same project everywhere.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))

from local_extensions import prompts

# Only this hook runs in the copy: who finds the mark may remove the copy.
prompts.COPY_MARK.touch()
prompts.translate_questions(Path("cookiecutter.json"))
