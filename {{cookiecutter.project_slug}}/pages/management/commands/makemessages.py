"""_("Django's makemessages, for the texts of the site: not those of the packages in venv/.")"""

from django.core.management.commands import makemessages


class Command(makemessages.Command):
    def handle(self, *args, **options):
        options["ignore_patterns"] += ["venv", "var"]
        super().handle(*args, **options)
