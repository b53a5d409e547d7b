"""_("What gunicorn serves.")"""

import importlib
import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "{{ cookiecutter.project_slug }}.settings"
application = get_wsgi_application()
#: Django would load the pages at the first request: here, an error in them ends the start.
importlib.import_module(settings.ROOT_URLCONF)
