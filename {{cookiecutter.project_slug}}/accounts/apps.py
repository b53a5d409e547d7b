"""_("The app of those who log in.")"""

import json
import logging

from django.apps import AppConfig
from django.contrib.auth.signals import user_login_failed

logger = logging.getLogger(__name__)


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = _py("Accounts")

    def ready(self):
        user_login_failed.connect(log_failed_login)


def log_failed_login(sender, credentials, request, **others):
    """_("One line, with the address of who tried.")"""
    if request:
        #: As JSON, what was typed can neither end the line nor give orders to a terminal.
        name = json.dumps(str(credentials.get("username"))[:100])
        address = request.META["REMOTE_ADDR"]
        logger.warning(_py("Failed login from %s as %s"), address, name)
