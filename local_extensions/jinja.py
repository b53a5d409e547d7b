"""What cookiecutter.json, the hooks and the generated files may call while Jinja renders them."""

import logging
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from jinja2 import Environment, pass_context
from jinja2.ext import Extension
from jinja2.runtime import Context

from . import quoting
from .localize import tag_texts, translate_tagged
from .ports import taken_addresses
from .prompts import wants_french
from .refusals import command_line_refusal, refusal
from .suggestions import suggestion
from .translations import printable, translate

# A line that is a statement of Jinja's: a comment to Python, sh and whatever else reads the template.
LINE_STATEMENT = re.compile(r"^[ \t]*#% (.+)\n", re.MULTILINE)
ROOT = Path(__file__).resolve().parents[1]


def template_version() -> str:
    """What versions.txt says first."""
    lines = (ROOT / "versions.txt").read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if not line.startswith("#"))


def template_checkout() -> str:
    """What git gives this very state for: the version or, between two versions, the commit."""
    version = template_version()
    if version.endswith("-dev") and (ROOT / ".git").exists():
        command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
        with suppress(OSError, subprocess.CalledProcessError):
            found = subprocess.check_output(command, stderr=subprocess.DEVNULL, text=True)
            return found.strip()
    return version


def line_statements(source: str) -> str:
    """A file with each of them as Jinja knows it; nothing is left of their lines."""
    return LINE_STATEMENT.sub(r"{% \1 %}", source)


@pass_context
def _(context: Context, text: str) -> str:
    """`text` in the language answered."""
    return translate(text, context["cookiecutter"]["language"])


@pass_context
def localized(context: Context, rendered: str) -> str:
    """A rendered file with its texts in the language answered."""
    return translate_tagged(rendered, context["cookiecutter"]["language"])


def slug(project_name: str) -> str:
    """A package name made from the site's name."""
    return suggestion("project_slug", project_name, {})


def allowed_hosts(answers: Mapping[str, str]) -> str:
    """Django's ALLOWED_HOSTS for .env: the domain name, this machine, and gunicorn's address."""
    host = answers["bind"].rpartition(":")[0]
    names = [quoting.idna_host(answers["domain_name"]), "localhost", "127.0.0.1", host]
    return ",".join(name for name in dict.fromkeys(names) if name != "0.0.0.0")


def check_answers(answers: Mapping[str, object]) -> str:
    """Ends the run with a message and exit code 1 where an answer is wrong.

    Cookiecutter calls it through a private variable right after the last question: nothing is
    written yet, and it also happens where the user refuses hooks.
    """
    return stop_if(refusal(answers))


def check_command_line(empty: str) -> str:
    """As `check_answers`, before the first question, for what the command line says wrongly.

    A filter needs something to filter: `empty` says nothing.
    """
    return stop_if(command_line_refusal("fr" if wants_french(os.environ) else "en"))


def stop_if(message: str) -> str:
    """Ends the run with this message on stderr; an empty one lets it go on."""
    if message:
        print(printable(message, sys.stderr.encoding), file=sys.stderr)
        raise SystemExit(1)
    return "yes"


def without_traceback(record: logging.LogRecord) -> bool:
    """Drops the traceback that Cookiecutter adds to a failed hook, which has said in a sentence why."""
    record.exc_info = None
    return True


class TemplateExtension(Extension):
    """Given by extension.py to each of Cookiecutter's environments."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        logging.getLogger("cookiecutter.hooks").addFilter(without_traceback)
        environment.globals["_"] = _
        environment.globals["template_root"] = str(ROOT)
        environment.globals["template_version"] = template_version()
        environment.globals["template_checkout"] = template_checkout
        environment.filters.update(
            allowed_hosts=allowed_hosts,
            check_answers=check_answers,
            check_command_line=check_command_line,
            idna=quoting.idna_host,
            localized=localized,
            markdown=quoting.markdown_text,
            python=quoting.python_string,
            refusal=refusal,
            slug=slug,
            taken_addresses=taken_addresses,
        )

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Tags the texts of a file, and translates them once Jinja has rendered the whole file.

        Only a file has a name: an answer and a path come without, and have no texts.
        """
        if name is None:
            return source
        tagged = line_statements(tag_texts(source))
        return f"{{% filter localized %}}{tagged}{{% endfilter %}}"
