"""Pages that the template has not, for the tests' sites."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from .project import Project, Site
from .waiting import eventually

# A page that is slow: it tells by a file that it has begun, and ends once it finds another.
SLOW_PAGE = """
import time
from pathlib import Path

from django.conf import settings
from django.http import HttpResponse


def slow(request):
    begun, over = (Path(settings.BASE_DIR, "var", name) for name in ("begun", "over"))
    begun.touch()
    while not over.exists():
        time.sleep(0.05)
    return HttpResponse("slow\\n")


urlpatterns += [path("slow", slow)]
"""


@contextmanager
def home_page_that(project: Project, line: str) -> Iterator[None]:
    """The home page's view begins with this line, for the gunicorns that start meanwhile."""
    views = project.path / "pages" / "views.py"
    delivered = views.read_text()
    views.write_text(delivered.replace("    context = {", f"    {line}\n    context = {{", 1))
    try:
        yield
    finally:
        views.write_text(delivered)


@contextmanager
def slow_request(site: Site) -> Iterator[Future[str]]:
    """A request for the slow page, which a worker has in hand; it may end after the block."""
    begun, over = (site.path / "var" / name for name in ("begun", "over"))
    begun.unlink(missing_ok=True)
    with ThreadPoolExecutor(1) as visitor:
        request = visitor.submit(lambda: site.get("/slow", timeout=60).text)
        try:
            eventually(begun.exists)
            yield request
        finally:
            over.touch()
    over.unlink()


def answer_while(site: Site, stop: Callable[[], object]) -> str:
    """What the slow page answers if it ends after every master has been told to."""
    told = "Handling signal: term"
    before = site.logs().count(told)
    with ThreadPoolExecutor(1) as background:
        with slow_request(site) as request:
            stopping = background.submit(stop)
            eventually(lambda: site.logs().count(told) == before + 2)
        stopping.result()
    return request.result()
