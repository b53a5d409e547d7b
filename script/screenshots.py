"""Takes the README's pictures of a running demo, in Chromium: the home page and the web interface."""

import configparser
import os
import shutil
import sys
import tempfile
from pathlib import Path

import demo
from playwright.sync_api import Browser, ViewportSize, sync_playwright

PICTURES = demo.TEMPLATE / "docs"
HOME_SIZE: ViewportSize = {"width": 1200, "height": 850}
WEB_INTERFACE_SIZE: ViewportSize = {"width": 1000, "height": 360}


def settings(project: Path) -> configparser.RawConfigParser:
    """supervisord's settings, with the password of the web interface."""
    parser = configparser.RawConfigParser()
    parser.read(
        [project / "deploy" / "supervisord.conf", project / "deploy" / "web_interface.conf"]
    )
    return parser


def take_pictures(browser: Browser, language: str) -> None:
    """Starts a demo in this language, and takes its pictures."""
    say = demo.Speaker(language)
    demo.start(say, {"language": language, "project_slug": "my_site"})
    try:
        config = settings(next(demo.projects()))
        bind = config["fcgi-program:gu-my_site"]["socket"].removeprefix("tcp://")
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport=HOME_SIZE, color_scheme=scheme)
            page.goto(f"http://{bind}/")
            page.screenshot(path=PICTURES / f"home.{language}.{scheme}.png")
            page.close()
        page = browser.new_page(viewport=WEB_INTERFACE_SIZE)
        page.goto("http://{username}:{password}@{port}/".format(**config["inet_http_server"]))
        page.screenshot(path=PICTURES / "web-interface.png")
    finally:
        demo.stop(say)


def main() -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("Chromium is needed and was not found. On Debian: sudo apt install chromium")
    with tempfile.TemporaryDirectory(prefix="dgs") as folder, sync_playwright() as playwright:
        os.environ["XDG_DATA_HOME"] = folder
        browser = playwright.chromium.launch(executable_path=chromium)
        for language in ("en", "fr"):
            take_pictures(browser, language)
        browser.close()


if __name__ == "__main__":
    main()
