"""Named in `_extensions` of cookiecutter.json: gives Jinja the extension of this very version.

`cruft update` renders two versions of the template in one process, out of one folder. Python would
keep the modules of the first one: with its texts and its filters the second cannot be rendered.
"""

import importlib
import sys
from importlib.machinery import PathFinder
from pathlib import Path

from jinja2 import Environment
from jinja2.ext import Extension


def files() -> list[tuple[str, int, int]]:
    """Those that Python would read now: path, time of the last change in ns, size in bytes."""
    spec = PathFinder.find_spec(str(__package__))
    assert spec
    assert spec.origin
    modules = [(str(file), file.stat()) for file in sorted(Path(spec.origin).parent.glob("*.py"))]
    return [(name, stat.st_mtime_ns, stat.st_size) for name, stat in modules]


def forget_modules(*kept: str) -> None:
    """Makes Python read this package again, the next time that it is imported."""
    for name in [*sys.modules]:
        if f"{name}.".startswith(f"{__package__}.") and name not in kept:
            del sys.modules[name]
    importlib.invalidate_caches()


# What is there already may be that of a version before this module.
forget_modules(str(__package__), __name__)
LOADED = files()


class TemplateExtension(Extension):
    """Cookiecutter makes several environments, of this version or of another one."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        if files() != LOADED:
            forget_modules()
        from .jinja import TemplateExtension as OfThisVersion

        self.of_this_version = OfThisVersion(environment)

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        return self.of_this_version.preprocess(source, name, filename)
