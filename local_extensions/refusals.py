"""What the user reads where no project can be made."""

import shlex
from collections.abc import Iterator, Mapping

import click
from click.core import ParameterSource

from .answers import EXAMPLES, RULES, TEMPLATE_CODE, Problem, problems
from .suggestions import suggestion
from .translations import gettext_noop, translate

TEMPLATE = "gh:org/django-gunicorn-supervisor"
# Cookiecutter's options that say where the answers come from.
ANSWER_OPTIONS = ("no_input", "replay", "replay_file", "default_config", "config_file")


def refusal(answers: Mapping[str, object]) -> str:
    """The message for wrong answers, in the language they ask for; empty where all are good.

    Every wrong answer with its value, the reason and a suggestion, then one command that repeats
    the run with the good answers and the suggestions.
    """
    found = problems(answers)
    if not found:
        return ""
    language = str(answers.get("language"))
    suggestions = {
        problem.answer: suggestion(problem.answer, problem.value, answers) for problem in found
    }
    parts = [
        translate("No project was made, because of these answers:", language),
        *(describe(problem, suggestions[problem.answer], language) for problem in found),
        translate("To run it again with the suggestions and your other answers:", language),
        command({name: str(answers.get(name)) for name in RULES} | suggestions),
    ]
    if missing := [name for name, value in suggestions.items() if not value]:
        text = translate("Write your answer behind: {names}", language)
        parts.append(text.format(names=" ".join(f"{name}=" for name in missing)))
    return "\n\n".join(parts)


def describe(problem: Problem, suggested: str, language: str) -> str:
    """A wrong answer, in three lines."""
    reason = translate(problem.refused.reason, language).format(**problem.refused.details)
    example = suggested or EXAMPLES[problem.answer]
    remedy = translate("For example: {example}", language).format(example=example)
    return f"{problem.answer} = {problem.value!r}\n    {reason}\n    {remedy}"


def command(answers: Mapping[str, str]) -> str:
    """The command line that gives these answers, to be pasted into a shell."""
    template, options = TEMPLATE, []
    context = click.get_current_context(silent=True)
    if context:
        template = context.params["template"]
        options = list(options_given(context))
    words = (f"{name}={value}" for name, value in answers.items())
    return shlex.join(["cookiecutter", template, "--no-input", *options, *words])


def options_given(context: click.Context) -> Iterator[str]:
    """The options that the user typed, but for those that say where the answers come from."""
    for option in context.command.params:
        name = str(option.name)
        typed = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if typed and isinstance(option, click.Option) and name not in ANSWER_OPTIONS:
            yield option.opts[0]
            if not option.is_flag:
                yield str(context.params[name])


def command_line_refusal(language: str) -> str:
    """The message for what Cookiecutter would take from its command line and should not.

    It passes over a name that is no answer, and renders a value as a Jinja template.
    """
    context = click.get_current_context(silent=True)
    given = (context.params.get("extra_context") if context else None) or {}
    lines = []
    for name, value in given.items():
        if name not in RULES:
            text = gettext_noop("{name} is no answer of this template; they are: {names}.")
            lines.append(translate(text, language).format(name=name, names=", ".join(RULES)))
        elif TEMPLATE_CODE.search(value):
            reason = gettext_noop("{{{{, {{% and {{# belong to the templates and cannot be used.")
            lines.append(f"{name} = {value!r}\n    {translate(reason, language).format()}")
    return "\n\n".join(lines)
