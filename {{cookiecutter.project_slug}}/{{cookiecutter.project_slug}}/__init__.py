#% if cookiecutter.tasks == "celery"
"""_("The site's settings, addresses and tasks.")"""

#: Whoever queues a task finds this app.
from .celery import app as celery_app

__all__ = ["celery_app"]
#% endif
