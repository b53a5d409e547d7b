"""Pages that the template has not, for the tests' sites."""

# A page that takes its time; the template has none.
SLOW_PAGE = """
import time

from django.http import HttpResponse


def slow(request):
    time.sleep(5)
    return HttpResponse("slow\\n")


urlpatterns += [path("slow", slow)]
"""
