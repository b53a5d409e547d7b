"""_("Django's compilemessages, for the texts of the site: not those of the packages in venv/.")"""

from django.core.management.commands import compilemessages


class Command(compilemessages.Command):
    def handle(self, *args, **options):
        options["ignore_patterns"] += ["venv", "var"]
        super().handle(*args, **options)
