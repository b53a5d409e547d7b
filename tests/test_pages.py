"""The pages of a site as visitors see them: in Chromium, on a phone and on a desk, light and dark.

Checked with axe-core against WCAG 2.2 AA; nothing may come from another host or break the
Content-Security-Policy.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response
from support.project import Site
from support.template import LANGUAGES

pytestmark = pytest.mark.slow

RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
PHONE, DESK = (390, 844), (1440, 900)
# What 200 % of zoom leaves of them, in CSS pixels.
ZOOMED_PHONE, ZOOMED_DESK = (195, 422), (720, 450)
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
# As long as they may be, from right to left and with words that have no end.
LONG_NAME = "مرحبًا بكم 😀 Donaudampfschifffahrt".ljust(80, "x")
LONG_DESCRIPTION = "Rindfleischetikettierungsüberwachung 🚂 مرحبًا ".ljust(200, "y")
# Pages that fail; the template has none.
FAILING_PAGES = """
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse


def forbidden(request):
    raise PermissionDenied


def broken(request):
    raise ValueError


def careless(request):
    return HttpResponse(
        "<p style='color: red'><font color='#bbb'>No title, no language, hardly legible</font>"
        "<img src='http://foreign.example/image.png'><script>alert(1)</script>"
        "<table width=3000><td>Wide</table>"
    )


urlpatterns += [
    path("forbidden", forbidden),
    path("broken", broken),
    path("careless", careless),
]
"""


def start(site: Site) -> Site:
    """Adds the pages that fail, and starts the site."""
    with (site.path / site.slug / "urls.py").open("a") as urls:
        urls.write(FAILING_PAGES)
    site.start()
    return site


@pytest.fixture(scope="module", params=LANGUAGES)
def site(request: pytest.FixtureRequest, make_site: Callable[..., Site]) -> Site:
    return start(make_site(language=request.param))


@pytest.fixture(scope="module")
def long_names(make_site: Callable[..., Site]) -> Site:
    return start(
        make_site(
            project_name=LONG_NAME, description=LONG_DESCRIPTION, project_slug="s".ljust(40, "_")
        )
    )


@dataclass
class Visit:
    """A window of the browser that shows pages of a site, and all that is wrong with them."""

    page: Page
    site: Site
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self.note_message)
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on("request", self.note_request)
        self.page.on("response", self.note_response)

    def note_message(self, message: ConsoleMessage) -> None:
        # note_response tells which.
        if not message.text.startswith("Failed to load resource: the server responded"):
            self.problems.append(f"console: {message.text}")

    def note_response(self, response: Response) -> None:
        if response.status >= 400 and not response.request.is_navigation_request():
            self.problems.append(f"{response.status}: {response.url}")

    def note_request(self, request: Request) -> None:
        if f":{self.site.port}/" not in request.url:
            self.problems.append(f"request to another host: {request.url}")

    def open(self, path: str = "/", host: str = "127.0.0.1") -> int:
        """Shows a page and gives its status."""
        response = self.page.goto(f"http://{host}:{self.site.port}{path}")
        assert response
        return response.status

    def send_form_without_token(self) -> int:
        self.open()
        with self.page.expect_navigation() as response:
            self.page.evaluate(
                "document.body.innerHTML = '<form method=post action=/admin/login/>';"
                "document.forms[0].submit()"
            )
        return response.value.status

    def look(self) -> None:
        """Adds what axe and a ruler find wrong with the page."""
        found = Axe().run(self.page, options={"runOnly": RULES}).response
        # What axe cannot tell, as a contrast on a picture, counts too.
        for result in found["violations"] + found["incomplete"]:
            nodes = [node["html"] for node in result["nodes"]]
            self.problems.append(f"{result['id']}: {result['help']}: {nodes}")
        widths = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        content, window = self.page.evaluate(widths)
        if content > window:
            self.problems.append(f"{content} pixels wide in a window of {window}")


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    with ExitStack() as opened:

        def visit(site: Site, size: tuple[int, int] = DESK, scheme: Scheme = "light") -> Visit:
            width, height = size
            page = browser.new_page(
                viewport={"width": width, "height": height}, color_scheme=scheme
            )
            opened.callback(page.close)
            page.set_default_timeout(10_000)
            return Visit(page, site)

        yield visit


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", [PHONE, DESK])
def test_nothing_is_wrong_with_any_page(
    site: Site, visit: Callable[..., Visit], size: tuple[int, int], scheme: Scheme
) -> None:
    window = visit(site, size, scheme)
    pages: list[tuple[int, Callable[[], int]]] = [
        (200, window.open),
        (400, lambda: window.open(host="other.localhost")),  # not in ALLOWED_HOSTS
        (403, lambda: window.open("/forbidden")),
        (403, window.send_form_without_token),
        (404, lambda: window.open("/no-such-page")),
        (500, lambda: window.open("/broken")),
    ]
    for status, show in pages:
        assert show() == status
        assert (status == 200) or window.page.inner_text(".number") == str(status)
        window.look()
        assert window.problems == []


@pytest.mark.parametrize("size", [PHONE, ZOOMED_PHONE, DESK, ZOOMED_DESK])
def test_long_names_and_zoom_break_nothing(
    long_names: Site, visit: Callable[..., Visit], size: tuple[int, int]
) -> None:
    window = visit(long_names, size)
    assert window.open() == 200
    assert window.page.title() == LONG_NAME
    window.look()
    assert window.problems == []


def test_the_home_page_tells_what_runs(site: Site, visit: Callable[..., Visit]) -> None:
    window = visit(site)
    window.open()
    release, master, *_ = window.page.locator("code").all_inner_texts()
    assert release == site.path.name
    assert master in site.masters()


def test_dark_pages_are_dark(site: Site, visit: Callable[..., Visit]) -> None:
    def brightness(scheme: Scheme) -> int:
        window = visit(site, scheme=scheme)
        window.open()
        colour = window.page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)))

    assert brightness("dark") < 100
    assert brightness("light") > 600


def test_the_pages_speak_the_language_chosen(site: Site, visit: Callable[..., Visit]) -> None:
    window = visit(site)
    window.open("/no-such-page")
    heading = {"en": "Page not found", "fr": "Page introuvable"}
    assert window.page.inner_text("h1") == heading[window.page.get_attribute("html", "lang") or ""]


def test_the_checks_see_what_is_wrong(site: Site, visit: Callable[..., Visit]) -> None:
    window = visit(site)
    window.open("/careless")
    window.look()
    problems = "\n".join(window.problems)
    for seen in (
        "console: Applying inline style violates",
        "console: Executing inline script violates",
        "console: Loading the image 'http://foreign.example/image.png' violates",
        "color-contrast",
        "document-title",
        "html-has-lang",
        "image-alt",
        "pixels wide in a window of",
    ):
        assert seen in problems
