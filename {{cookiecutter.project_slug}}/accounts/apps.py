"""_("The app of those who log in.")"""

import json
import logging

from django.apps import AppConfig
from django.contrib.auth.signals import user_login_failed
from django.core.checks import Error, Tags, register
from django.db import connections

logger = logging.getLogger(__name__)


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = _py("Accounts")

    def ready(self):
        user_login_failed.connect(log_failed_login)
        register(check_users, Tags.database)


def log_failed_login(sender, credentials, request, **others):
    """_("One line, with the address of who tried.")"""
    if request:
        #: As JSON, what was typed can neither end the line nor give orders to a terminal.
        name = json.dumps(str(credentials.get("username"))[:100])
        address = request.META["REMOTE_ADDR"]
        logger.warning(_py("Failed login from %s as %s"), address, name)


def check_users(databases, **others):
    """_("Before a migration: a site that is older than this app has its users in Django's own table.")"""
    for name in databases or ():
        if "auth_user" in connections[name].introspection.table_names():
            text = _py("The users of this site are in the table auth_user, and its code looks for them in accounts_user.")
            hint = _py("Move them first: https://github.com/org/django-gunicorn-supervisor/blob/main/UPGRADING.md says how. Until then, the code before the update goes on serving.")
            return [Error(text, hint, id="accounts.E001")]
    return []
