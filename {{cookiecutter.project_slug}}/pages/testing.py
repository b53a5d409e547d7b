"""_("What tests of pages begin with.")"""

from django.conf import settings
from django.test import TestCase, override_settings


@override_settings(
    SECURE_SSL_REDIRECT=False,
    STORAGES={
        **settings.STORAGES,
        "staticfiles": {
            "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        },
    },
)
class PageTestCase(TestCase):
    """_("With a database, by http, and no static files need be collected.")"""
