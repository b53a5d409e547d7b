"""The questions in the language of the user's terminal."""

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from .french import FRENCH
from .translations import printable

TEMPLATE = Path(__file__).parents[1]
# hooks/pre_prompt.py leaves it in the copy of the template that Cookiecutter makes for that hook.
COPY_MARK = TEMPLATE / ".copied-for-pre-prompt"


def is_copy() -> bool:
    """Whether this runs in that copy: the mark is there, in a temporary folder of Cookiecutter's."""
    around = TEMPLATE.parent
    in_temporary = around.parent == Path(tempfile.gettempdir())
    return in_temporary and around.name.startswith("cookiecutter") and COPY_MARK.exists()


def wants_french(environment: Mapping[str, str]) -> bool:
    """Whether messages are wanted in French.

    Source: the GNU gettext manual, 2.3: LC_ALL, LC_MESSAGES and LANG in this order name the locale;
    unless it is C, the list in LANGUAGE comes before it.
    """
    names = (environment.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    locale = next((name for name in names if name), "C")
    if locale.partition(".")[0] in ("C", "POSIX"):
        return False
    first = (environment.get("LANGUAGE") or locale).partition(":")[0]
    return first.replace(".", "_").partition("_")[0] == "fr"


def in_french(prompt: str | dict[str, str]) -> str | dict[str, str]:
    """A prompt, or a choice's prompt with its labels, in French as the terminal can show it."""
    if isinstance(prompt, dict):
        return {name: str(in_french(text)) for name, text in prompt.items()}
    return printable(FRENCH.get(prompt, prompt), sys.stdout.encoding)


def translate_questions(cookiecutter_json: Path) -> None:
    """Rewrites the prompts in the file where the user wants French; leaves all else as it is."""
    if not wants_french(os.environ):
        return
    questions = json.loads(cookiecutter_json.read_text(encoding="utf-8"))
    questions["__prompts__"] = {
        name: in_french(prompt) for name, prompt in questions["__prompts__"].items()
    }
    cookiecutter_json.write_text(json.dumps(questions), encoding="utf-8")
