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
            formatter_class=argparse.RawDescriptionHelpFormatter,
            add_help=False,
            allow_abbrev=False,
            exit_on_error=False,
        )
        self.options = self.add_argument_group(_py("options"))
        self.add_flag("-h", "--help", action="help", help=_py("show this help and end"))

    def add_flag(self, *names, help, action="store_true"):
        self.options.add_argument(*names, action=action, help=help)

    def add_value(self, name, metavar, help, default=None, check=None):
        """_("An option with a value, which check(name, value) returns or refuses.")"""
        self.options.add_argument(
            name,
            metavar=metavar,
            default=default,
            type=lambda value: check(name, value) if check else value,
            help=help,
        )

    def add_packages(self):
        """_("Where the packages of the venv come from.")"""
        self.add_value(
            "--wheelhouse",
            _py("DIR"),
            _py("also take packages from this folder"),
            check=existing_folder,
        )
        self.add_flag(
            "--offline",
            help=_py("use no network; needs --wheelhouse DIR"),
        )

    def parse(self, words):
        try:
            found, others = self.parse_known_args(words)
        except argparse.ArgumentError as error:
            raise Failed(
                _py("{option} lacks its value, or takes none; {program} --help lists the options."),
                option=error.argument_name,
                program=self.prog,
            ) from None
        if others:
            raise Failed(
                _py("{option} is not an option; {program} --help lists them."),
                option=others[0],
                program=self.prog,
            )
        if vars(found).get("offline") and not found.wheelhouse:
            raise Failed(
                _py("--offline needs --wheelhouse DIR, a folder with the packages."),
            )
        return found

    def format_help(self):
        """_("argparse writes this word by itself, in English.")"""
        return super().format_help().replace("usage:", _py("Usage:"), 1)


def folder(option, value):
    if not value:
        raise Failed(_py("{option} needs a folder."), option=option)
    return Path(value).resolve()


def existing_folder(option, value):
    if not Path(value).is_dir() or not value:
        raise Failed(
            _py("{option} needs a folder that exists, not \"{value}\"."),
            option=option,
            value=value,
        )
    return Path(value).resolve()
