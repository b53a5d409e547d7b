"""A visit to a site in Chromium."""

from dataclasses import dataclass, field
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Page, Request, Response

from .project import Site

RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
DESK = (1440, 900)
Scheme = Literal["light", "dark"]


def has_icon(node: dict[str, Any]) -> bool:
    """Whether this is a field with a picture at its end: axe cannot tell that no text is on it."""
    pictures = [
        check for check in node["any"] if (check["data"] or {}).get("messageKey") == "bgImage"
    ]
    return bool(pictures) and node["html"].startswith(("<input", "<select", "<textarea"))


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
            nodes = [node["html"] for node in result["nodes"] if not has_icon(node)]
            if nodes:
                self.problems.append(f"{result['id']}: {result['help']}: {nodes}")
        widths = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        content, window = self.page.evaluate(widths)
        if content > window:
            self.problems.append(f"{content} pixels wide in a window of {window}")
