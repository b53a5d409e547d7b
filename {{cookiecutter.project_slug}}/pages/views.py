"""_("The pages of the site.")"""

import logging
import os

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db import Error
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

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
@never_cache
def healthz(request):
    """_("Says which release works: 200, or 503 with the reason in the log only.")"""
    try:
        ContentType.objects.exists()
    except Error:
        logger.exception(_py("The database does not answer."))
        return HttpResponse("unavailable\n", status=503, content_type="text/plain")
    return HttpResponse(f"ok {settings.RELEASE}\n", content_type="text/plain")
