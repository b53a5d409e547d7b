"""What cookiecutter.json, the hooks and the generated files may call while Jinja renders them."""

import logging
import sys
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, pass_context
from jinja2.ext import Extension
from jinja2.runtime import Context
from slugify import slugify

from . import quoting
from .answers import Refused, check_project_slug, refusal
from .localize import mark_texts, translate_marked
from .ports import taken_addresses
from .translations import printable, translate


@pass_context
def _(context: Context, text: str) -> str:
    """`text` in the language answered."""
    return translate(text, context["cookiecutter"]["language"])


@pass_context
def localized(context: Context, rendered: str) -> str:
    """A rendered file with its texts in the language answered."""
    return translate_marked(rendered, context["cookiecutter"]["language"])


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


def allowed_hosts(answers: Mapping[str, str]) -> str:
    """Django's ALLOWED_HOSTS for .env: the domain name, this machine, and gunicorn's address."""
    host = answers["bind"].rpartition(":")[0]
    names = [answers["domain_name"], "localhost", "127.0.0.1", host]
    return ",".join(name for name in dict.fromkeys(names) if name != "0.0.0.0")


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
            allowed_hosts=allowed_hosts,
            check_answers=check_answers,
            localized=localized,
            markdown=quoting.markdown_text,
            python=quoting.python_string,
            refusal=refusal,
            slug=slug,
            taken_addresses=taken_addresses,
        )

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Has the texts of a file translated; what has no name (an answer, a path) has none."""
        if name is None:
            return source
        return "{% filter localized %}" + mark_texts(source) + "{% endfilter %}"
