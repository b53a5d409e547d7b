"""_("The pages of the site.")"""

#% if cookiecutter.database == "sqlite"
import errno
#% endif
import logging
import os
import sys
#% if cookiecutter.database == "sqlite"
from pathlib import Path
#% endif

from csp.constants import NONE, SELF, UNSAFE_INLINE
from csp.decorators import csp_replace
from django.conf import settings
from django.contrib.contenttypes.models import ContentType
#% if cookiecutter.database == "postgresql"
from django.db import Error, InterfaceError, OperationalError
#% else
from django.db import Error, connection
#% endif
#% if cookiecutter.tasks == "celery"
from django.http import Http404, HttpResponse
#% else
from django.http import HttpResponse
#% endif
from django.shortcuts import render
from django.views import defaults
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django.views.static import serve
#% if cookiecutter.tasks == "celery"
from redis.exceptions import RedisError

from . import queue
#% endif

logger = logging.getLogger(__name__)


@require_safe
def home(request):
    """_("Shows that the site works, and what to do next.")"""
    context = {
        "site_name": settings.SITE_NAME,
        "site_description": settings.SITE_DESCRIPTION,
        "release": settings.RELEASE,
        #: supervisord gives these to each program that it starts.
        "group": os.environ.get("SUPERVISOR_GROUP_NAME"),
        "process": os.environ.get("SUPERVISOR_PROCESS_NAME"),
    }
    return render(request, "pages/home.html", context)


@require_safe
@csp_replace(
    {
        "default-src": [NONE],
        "img-src": [SELF],
        "media-src": [SELF],
        "style-src": [UNSAFE_INLINE],
        "form-action": [NONE],
    }
)
def upload(request, path):
    """_("What has been uploaded, where no nginx sends it: on a laptop. It runs nothing.")"""
    return serve(request, path, document_root=settings.MEDIA_ROOT)


@require_safe
@never_cache
def healthz(request):
    """_("Says whether the site works: 200, or 503 with the reason in the log only.")"""
    try:
        ContentType.objects.exists()
#% if cookiecutter.database == "postgresql"
    except Error:
#% else
        require_writable(connection.settings_dict["NAME"])
    except (Error, OSError):
#% endif
        logger.exception(_py("The database does not answer."))
        return HttpResponse("unavailable\n", status=503, content_type="text/plain")
    #: Which release it is, this machine alone is told.
    text = f"ok {settings.RELEASE}\n" if asked_here(request) else "ok\n"
    return HttpResponse(text, content_type="text/plain")


def asked_here(request):
    """_("Whether the machine itself asks; by a UNIX socket there is no address.")"""
    return request.META["REMOTE_ADDR"] in ("", "127.0.0.1")


#% if cookiecutter.tasks == "celery"
@require_safe
@never_cache
def queuez(request):
    """_("Tells this machine how many tasks wait, how many seconds the oldest has waited, and how many the worker has taken; 503 where the broker does not answer.")"""
    if not asked_here(request):
        raise Http404
    try:
        lines = [f"{name} {value}\n" for name, value in queue.state()._asdict().items()]
    except RedisError:
        logger.exception(_py("The broker does not answer."))
        return HttpResponse("unavailable\n", status=503, content_type="text/plain")
    return HttpResponse(lines, content_type="text/plain")


#% endif
#% if cookiecutter.database == "postgresql"
def server_error(request):
    """_("Django's page; or one for what passes: PostgreSQL is down, full, or busy with others.")"""
    if not isinstance(sys.exc_info()[1], (OperationalError, InterfaceError)):
        return defaults.server_error(request)
#% else
def require_writable(database):
    """_("SQLite writes into these files and beside them.")"""
    #: Only asked: to write would mean to wait for whoever is writing.
    for path in (database, f"{database}-wal", f"{database}-shm", Path(database).parent):
        if os.path.exists(path) and not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def server_error(request):
    """_("Django's page; or one that says that others have been writing for too long.")"""
    if "database is locked" not in str(sys.exc_info()[1]):
        return defaults.server_error(request)
#% endif
    #: Without the request: it could ask the database for the user.
    response = render(None, "503.html", status=503)
    response.headers["Retry-After"] = "10"
    return response
