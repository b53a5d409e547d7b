#!/usr/bin/env python
"""_("Django's commands for this site: venv/bin/python manage.py help")"""

import os
import sys

from django.core.management import execute_from_command_line

os.environ["DJANGO_SETTINGS_MODULE"] = "{{ cookiecutter.project_slug }}.settings"
execute_from_command_line(sys.argv)
