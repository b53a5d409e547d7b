"""The questions in the language of the user's terminal."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from .translations import printable, translate


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


def translate_questions(path: Path) -> None:
    """Rewrites the prompts of this cookiecutter.json in French, as the terminal can show it."""

    def french(prompt: str) -> str:
        return printable(translate(prompt, "fr"), sys.stdout.encoding)

    questions = json.loads(path.read_text(encoding="utf-8"))
    prompts = questions["__prompts__"]
    for name, prompt in prompts.items():
        if isinstance(prompt, dict):
            # The labels of the languages are their own names.
            labels = ("__prompt__",) if name == "language" else prompt
            prompt |= {label: french(prompt[label]) for label in labels}
        else:
            prompts[name] = french(prompt)
    path.write_text(json.dumps(questions), encoding="utf-8")
