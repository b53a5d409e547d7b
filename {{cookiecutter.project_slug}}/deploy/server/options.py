"""_("The options of the commands: argparse, in the site's language and with errors of one sentence.")"""

import argparse
from pathlib import Path

from .commands import Failed


class Parser(argparse.ArgumentParser):
    """_("A parser whose options all stand in one group, self.options.")"""

    def __init__(self, program, description, epilog=None):
        super().__init__(
            program,
            description=description,
            epilog=epilog,
            add_help=False,
            allow_abbrev=False,
            exit_on_error=False,
        )
        self.options = self.add_argument_group(_py("options"))
        self.flag("-h", "--help", action="help", help=_py("show this help and end"))

    def flag(self, *names, help, action="store_true"):
        self.options.add_argument(*names, action=action, help=help)

    def value(self, name, metavar, help, default=None, **more):
        self.options.add_argument(
            name, metavar=metavar, help=help, default=default, **more
        )

    def word(self, name, metavar, help, nargs="?"):
        """_("A word without a name, which may be left out.")"""
        self.options.add_argument(name, metavar=metavar, help=help, nargs=nargs)

    def packages(self):
        """_("Where the packages of the venv come from.")"""
        text = _py("also take packages from this folder")
        self.value("--wheelhouse", _py("DIR"), text, type=existing_folder)
        self.flag(
            "--offline",
            help=_py("use no network; needs --wheelhouse DIR"),
        )

#% if cookiecutter.database == "postgresql"
    def rehearsed(self):
        text = _py("another server has rehearsed this code, and migrated the database")
        self.flag("--rehearsed", help=text)

#% endif
    def parse(self, words):
        try:
            found, others = self.parse_known_args(words)
        except argparse.ArgumentError as error:
            text = _py("{option} lacks its value, or takes none; {program} --help lists the options.")
            raise Failed(text, option=error.argument_name, program=self.prog) from None
        if others:
            text = _py("{option} is not an option; {program} --help lists them.")
            raise Failed(text, option=others[0], program=self.prog)
        if vars(found).get("offline") and not found.wheelhouse:
            text = _py("--offline needs --wheelhouse DIR, a folder with the packages.")
            raise Failed(text)
        return found

    def format_help(self):
        """_("argparse writes this word by itself, in English.")"""
        return super().format_help().replace("usage:", _py("Usage:"), 1)


def folder(value):
    return Path(value).resolve()


def existing_folder(value):
    if not value or not Path(value).is_dir():
        text = _py("--wheelhouse needs a folder that exists, not \"{value}\".")
        raise Failed(text, value=value)
    return folder(value)
