"""Jinja for a project: each template is rendered once, and most hold nothing for Jinja.

A file is a template, and so are a path and an answer, which have no name. Compiled as Jinja does
by default, they would take twice as long.
"""

from collections.abc import Callable, MutableMapping
from types import CodeType
from typing import Any

from jinja2 import Environment, Template

from .answers import TEMPLATE_CODE
from .localize import translate_marked

# What the code of a compiled template defines: its values by their names.
Module = dict[str, Any]


class LocalizedTemplate(Template):
    """A template that gives a file in the language answered."""

    @classmethod
    def from_code(
        cls,
        environment: Environment,
        code: CodeType | Module,
        globals: MutableMapping[str, Any],
        uptodate: Callable[[], bool] | None = None,
    ) -> Template:
        """The template that `environment.compile` has made of a source."""
        if isinstance(code, CodeType):
            return super().from_code(environment, code, globals, uptodate)
        return cls.from_module_dict(environment, code, globals)

    def render(self, *args: Any, **answers: Any) -> str:
        """The file with its texts, which the extension has marked, in the language answered."""
        rendered = super().render(*args, **answers)
        if self.name is None:
            return rendered
        return translate_marked(rendered, answers["cookiecutter"]["language"])


def prepare(environment: Environment) -> None:
    """Makes this environment compile what needs it, and render files in the language answered."""
    compile_source = environment.compile

    def compile_where_needed(
        source: str, name: str | None = None, filename: str | None = None
    ) -> CodeType | Module:
        if TEMPLATE_CODE.search(source):
            return compile_source(source, name, filename)
        text = environment.preprocess(source, name, filename)
        return {
            "name": name,
            "__file__": filename,
            "root": lambda context: [text],
            "blocks": {},
            "debug_info": "",
        }

    vars(environment)["compile"] = compile_where_needed
    environment.template_class = LocalizedTemplate
    # To compute constants beforehand pays in a template that is rendered often.
    environment.optimized = False
