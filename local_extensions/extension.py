"""Named in `_extensions` of cookiecutter.json: gives Jinja the extension of this very version.

`cruft update` renders two versions of the template in one process, out of one folder. Python would
keep the modules of the first one: with its texts and its filters the second cannot be rendered.
"""

import importlib
import sys

from jinja2 import Environment
from jinja2.ext import Extension


def forget_modules() -> None:
    """Makes Python read this package again, this module too, the next time that it is imported."""
    for name in [name for name in sys.modules if f"{name}.".startswith(f"{__package__}.")]:
        del sys.modules[name]
    importlib.invalidate_caches()


class TemplateExtension(Extension):
    """Cookiecutter makes several environments; each imports the package anew."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        forget_modules()
        from .jinja import TemplateExtension as OfThisVersion

        self.of_this_version = OfThisVersion(environment)

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        return self.of_this_version.preprocess(source, name, filename)
