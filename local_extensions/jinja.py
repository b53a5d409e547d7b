"""What cookiecutter.json, the hooks and the generated files may call while Jinja renders them."""

import logging
import sys
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, pass_context
from jinja2.ext import Extension
from jinja2.runtime import Context
from markupsafe import Markup, escape
from slugify import slugify

from . import quoting
from .answers import Refused, check_project_slug, refusal
from .translations import french_typography, printable, translate


@pass_context
def _(context: Context, text: str) -> str:
    """`text` in the language answered."""
    return translate(text, context["cookiecutter"]["language"])


@pass_context
def comment(context: Context, text: str, sign: str = "#") -> str:
    """`text`, in the language answered, as comment lines."""
    return quoting.comment(_(context, text), sign)


@pass_context
def html(context: Context, text: str) -> Markup:
    """Prose as HTML shows it, with the spaces and apostrophes of its language."""
    if context["cookiecutter"]["language"] == "fr":
        text = french_typography(text)
    return escape(text)


def slug(project_name: str) -> str:
    """A package name made from the site's name; what cannot be one gets `_site` or `site_`."""
    name = slugify(project_name, separator="_")[:35].strip("_")
    for candidate in (name, f"{name}_site"):
        try:
            check_project_slug(candidate)
            return candidate
        except Refused:
            continue
    return f"site_{name}"


def check_answers(answers: Mapping[str, object]) -> str:
    """Ends the run with a message and exit code 1 where an answer is wrong.

    Cookiecutter calls it through a private variable right after the last question: nothing is
    written yet, and it also happens where the user refuses hooks.
    """
    message = refusal(answers)
    if message:
        print(printable(message, sys.stderr.encoding), file=sys.stderr)
        raise SystemExit(1)
    return "yes"


def without_traceback(record: logging.LogRecord) -> bool:
    """A hook that refuses has said why: Cookiecutter's own stack would only bury the reason."""
    record.exc_info = None
    return True


class TemplateExtension(Extension):
    """Named in `_extensions` of cookiecutter.json."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        logging.getLogger("cookiecutter.hooks").addFilter(without_traceback)
        environment.globals["_"] = _
        environment.globals["template_root"] = str(Path(__file__).parents[1])
        environment.filters.update(
            check_answers=check_answers,
            comment=comment,
            html=html,
            markdown=quoting.markdown_text,
            python=quoting.python_string,
            refusal=refusal,
            sh=quoting.sh_word,
            slug=slug,
        )
