"""Takes the README's pictures of a demo: its pages in Chromium, and a session in a terminal."""

import configparser
import os
import shutil
import sys
import tempfile
from pathlib import Path

import demo
from playwright.sync_api import Browser, ViewportSize, sync_playwright
from terminal import Terminal

PICTURES = demo.TEMPLATE / "pictures"
HOME_SIZE: ViewportSize = {"width": 1200, "height": 850}
WEB_INTERFACE_SIZE: ViewportSize = {"width": 1000, "height": 360}
COMMANDS = {"en": "script/demo", "fr": "script/demo language=fr"}


def settings(project: Path) -> configparser.RawConfigParser:
    """supervisord's settings, with the password of the web interface."""
    parser = configparser.RawConfigParser()
    parser.read(
        [project / "deploy" / "supervisord.conf", project / "deploy" / "web_interface.conf"]
    )
    return parser


def home_page(project: Path) -> str:
    """The address of the site."""
    socket = settings(project)[f"fcgi-program:gu-{project.name}"]["socket"]
    return socket.replace("tcp:", "http:") + "/"


def record_session(home: Path, language: str) -> Path:
    """Records how a demo starts, restarts in turn and loses a master; returns its folder: it runs on."""
    terminal = Terminal(home, demo.TEMPLATE)
    terminal.type(COMMANDS[language])
    project = next(demo.projects())
    group = f"gu-{project.name}"
    terminal.type(f"cd ~/{project.relative_to(home)}")
    terminal.type(f"venv/bin/supervisorctl rolling_restart {group}")
    terminal.type(f"venv/bin/supervisorctl signal KILL {group}:master-1")
    terminal.type(f"curl -sS {home_page(project)}healthz")
    terminal.type("sleep 5; venv/bin/supervisorctl status")
    picture = terminal.picture(COMMANDS[language])
    (PICTURES / f"session.{language}.svg").write_text(picture, encoding="utf-8")
    return project


def take_pictures(browser: Browser, project: Path, language: str) -> None:
    """The home page and the web interface of the demo in this folder."""
    for scheme in ("light", "dark"):
        page = browser.new_page(viewport=HOME_SIZE, color_scheme=scheme)
        page.goto(home_page(project))
        page.screenshot(path=PICTURES / f"home.{language}.{scheme}.png")
        page.close()
    web_interface = settings(project)["inet_http_server"]
    page = browser.new_page(viewport=WEB_INTERFACE_SIZE)
    page.goto("http://{username}:{password}@{port}/".format(**web_interface))
    page.screenshot(path=PICTURES / f"web-interface.{language}.png")
    page.close()


def main() -> None:
    for tool in ("chromium", "curl"):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is needed and was not found. On Debian: sudo apt install {tool}")
    with tempfile.TemporaryDirectory(prefix="dgs") as home, sync_playwright() as playwright:
        os.environ.pop("XDG_DATA_HOME", None)
        # The demo's venv is made once, not in each new home.
        os.environ.setdefault("XDG_CACHE_HOME", str(Path.home() / ".cache"))
        os.environ["HOME"] = home
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        for language in COMMANDS:
            try:
                project = record_session(Path(home), language)
                take_pictures(browser, project, language)
            finally:
                demo.stop(demo.Speaker(language))
        browser.close()


if __name__ == "__main__":
    main()
