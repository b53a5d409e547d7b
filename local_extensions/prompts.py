"""The questions in the language of the user's terminal.

Every run begins with these, in a Python of their own: what only French needs is imported there.
"""

import os

TEMPLATE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# hooks/pre_prompt.py leaves it in the copy of the template that Cookiecutter makes for that hook.
COPY_MARK = os.path.join(TEMPLATE, ".copied-for-pre-prompt")


def mark_copy() -> None:
    """Says that this template is Cookiecutter's copy: only hooks/pre_prompt.py may call it."""
    with open(COPY_MARK, "w"):
        pass


def is_copy(temporary: str) -> bool:
    """Whether this template is that copy: marked, in a folder that Cookiecutter made in `temporary`."""
    parent, name = os.path.split(os.path.dirname(TEMPLATE))
    return parent == temporary and name.startswith("cookiecutter") and os.path.exists(COPY_MARK)


def wants_french(environment: dict[str, str]) -> bool:
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


def translate_questions(path: str) -> None:
    """Rewrites the prompts of this cookiecutter.json in French, as the terminal can show it."""
    import json
    import sys

    from .translations import printable, translate

    def french(prompt: str) -> str:
        return printable(translate(prompt, "fr"), sys.stdout.encoding)

    with open(path, encoding="utf-8") as file:
        questions = json.load(file)
    prompts = questions["__prompts__"]
    for name, prompt in prompts.items():
        if isinstance(prompt, dict):
            # The labels of a choice are the languages' own names.
            prompt["__prompt__"] = french(prompt["__prompt__"])
        else:
            prompts[name] = french(prompt)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(questions, file)
