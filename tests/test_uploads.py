"""A photo's way, as the lesson writes it: from the administration to a visitor, who gets a picture and nothing else."""

import re
import shutil
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Error
from support.commands import AS_USER, ENVIRONMENT, USER
from support.lesson import lesson_of, write_files
from support.nginx import ASCII_DOMAIN, DOMAIN, Nginx, make_certificate, serving
from support.project import Project, Response, Site, copy_venv
from support.server import Server
from support.service_files import name_folder

pytestmark = pytest.mark.slow

# One green point
PHOTO = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGPQ6w4HAAH7ARF0JhTpAAAAAElFTkSuQmCC"
)
SUPERUSER = """
from django.contrib.auth import get_user_model
get_user_model().objects.create_superuser("zoe", password="lovelace")
"""
EVIL_PICTURE = """<svg xmlns="http://www.w3.org/2000/svg" onload="document.documentElement.id = 'run'">
<script>document.documentElement.id = 'run'</script><circle r="9"/></svg>"""
EVIL_SCRIPT = "document.documentElement.id = 'run'"


@pytest.fixture(scope="module")
def server(new_server: Callable[..., Server], made_venv: Path) -> Server:
    """A server with a release of the photos' app, as its chapter writes it."""
    server = new_server(domain_name=DOMAIN)
    name_folder(server.code, server.path)
    code = Project(server.code)
    copy_venv(made_venv, code.path / "venv")
    env = {**ENVIRONMENT, "PATH": f"{server.uv}:{ENVIRONMENT['PATH']}"}
    code.run("./bootstrap.sh", "--dev", env=env)
    code.run("./packages.sh", "add", "pillow", env=env)
    code.run("./bootstrap.sh", env=env)
    code.python("manage.py", "startapp", "photos")
    (code.path / "photos/templates/photos").mkdir(parents=True)
    write_files(code, "docs/photos.md")
    code.python("manage.py", "makemigrations", "photos")
    for name in ("venv", "var"):
        shutil.rmtree(code.path / name)
    # Here, another user makes the releases.
    code.run("chmod", "-R", "go+rX", "photos")
    server.release()
    server.start()
    server.run("current/venv/bin/python", "current/manage.py", "shell", "-c", SUPERUSER)
    return server


@pytest.fixture(scope="module")
def nginx(server: Server) -> Iterator[Nginx]:
    certificate = make_certificate(server.code.parent)
    with serving(Site(server.code), certificate, "http.conf") as nginx:
        yield nginx


def log_in(nginx: Nginx) -> tuple[str, str]:
    """The cookies of somebody who has logged in, and the token for the next form."""
    page = nginx.get("/admin/login/")
    cookie = page.headers["Set-Cookie"].partition(";")[0]
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert found
    form = {"csrfmiddlewaretoken": found[1], "username": "zoe", "password": "lovelace"}
    done = nginx.post("/admin/login/?next=/admin/", urlencode(form), Cookie=cookie)
    assert done.status == 302
    cookies = "; ".join(each.partition(";")[0] for each in done.headers.get_all("Set-Cookie", []))
    return cookies, found[1]


def send(nginx: Nginx, photo: bytes, name: str = "cat.png") -> Response:
    """Sends a photo by its form in the administration, as a browser does."""
    cookies, _ = log_in(nginx)
    page = nginx.get("/admin/photos/photo/add/", Cookie=cookies)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert token
    parts = [
        f'name="csrfmiddlewaretoken"\r\n\r\n{token[1]}',
        'name="title"\r\n\r\nA cat',
        f'name="image"; filename="{name}"\r\nContent-Type: image/png\r\n\r\n'
        + photo.decode("latin-1"),
    ]
    body = "".join(f"--cut\r\nContent-Disposition: form-data; {part}\r\n" for part in parts)
    headers: Any = {"Content-Type": "multipart/form-data; boundary=cut", "Cookie": cookies}
    return nginx.post("/admin/photos/photo/add/", f"{body}--cut--\r\n", **headers)


def put(server: Server, name: str, text: str) -> None:
    """As whoever has found a form that takes any file."""
    path = f"{server.path}/var/media/{name}"
    write = 'mkdir -p -m 755 "$(dirname "$1")"; cat >"$1"; chmod 644 "$1"'
    server.run("sh", "-ec", write, "sh", path, input=text)


def test_a_photo_goes_from_the_administration_to_visitors(server: Server, nginx: Nginx) -> None:
    """Two releases and a way back later, too; nginx sends it, as it came."""
    assert send(nginx, PHOTO).status == 302
    (photo,) = (server.path / "var" / "media").rglob("*.png")
    user = USER if AS_USER else Path("/proc/self").owner()
    for path, mode in ((photo, 0o644), (photo.parent, 0o755), (server.path / "var/media", 0o755)):
        assert (path.owner(), path.stat().st_mode & 0o777) == (user, mode)
    for options in ((), (), ("--rollback",)):
        server.release(options=options)
        found = re.search(
            r'<img src="(/media/photos/\d+/cat\.png)" alt="A cat">', nginx.get("/photos/").text
        )
        assert found
        response = nginx.get(found[1])
        assert (response.status, response.headers["Content-Type"]) == (200, "image/png")
        assert response.text == PHOTO.decode(errors="replace")
        assert response.headers.get_all("X-Content-Type-Options") == ["nosniff"]
        (policy,) = response.headers.get_all("Content-Security-Policy", [])
        assert policy.startswith("default-src 'none'; ")
    assert "cat.png" not in server.logs()
    # What is no picture is refused by its form, in a sentence.
    refused = send(nginx, b"<script>alert(1)</script>")
    assert (refused.status, "Upload a valid image" in refused.text) == (200, True)
    assert send(nginx, PHOTO, "cat.html").status == 200


def test_no_upload_can_act_as_a_page(server: Server, nginx: Nginx, browser: Browser) -> None:
    put(server, "evil.svg", EVIL_PICTURE)
    put(server, "evil.js", EVIL_SCRIPT)
    put(server, "evil.png", EVIL_SCRIPT)
    put(server, "evil.css", "body { color: red }")
    for name in ("page.html", "page.xhtml", "page.xml", "page.php", "page"):
        put(server, name, EVIL_PICTURE)
        kind = nginx.get(f"/media/{name}").headers["Content-Type"]
        assert kind == "application/octet-stream", name
    assert nginx.get("/media/").status == 403
    assert nginx.get("/media/none.png").status == 404

    site = f"http://{ASCII_DOMAIN}:{nginx.port}"
    with browser.new_page() as page:
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.goto(f"{site}/media/evil.svg")
        assert page.evaluate("document.documentElement.id") == ""
        assert "violates the following Content Security Policy" in "".join(said)
        # Whoever can write into a page cannot make it run an upload either.
        page.goto(f"{site}/")
        for name in ("evil.js", "evil.png"):
            with pytest.raises(Error):
                page.add_script_tag(url=f"/media/{name}")
        assert page.evaluate("document.documentElement.id") == ""


def test_a_link_among_the_uploads_leads_nowhere(server: Server, nginx: Nginx) -> None:
    put(server, "photos/dog.txt", "dog")
    server.run("ln", "-s", "/etc/passwd", f"{server.path}/var/media/link.txt")
    assert nginx.get("/media/photos/dog.txt").text == "dog"
    if AS_USER:
        assert nginx.get("/media/link.txt").status == 403


@pytest.mark.parametrize("debug", ["on", "off"])
def test_a_laptop_shows_uploads_too(server: Server, debug: str) -> None:
    """Django sends them where no nginx does, as safely."""
    put(server, "evil.svg", EVIL_PICTURE)
    env = server.path / ".env"
    before = env.read_text()
    try:
        env.write_text(before.replace("DEBUG=off", f"DEBUG={debug}"))
        server.supervisorctl("rolling_restart", "all", check=True)
        response = server.get("/media/evil.svg", Host=ASCII_DOMAIN)
    finally:
        env.write_text(before)
    assert (response.status, response.text) == (200, EVIL_PICTURE)
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script" not in policy
    assert server.get("/media/none.png", Host=ASCII_DOMAIN).status == 404


# A page of a package, which runs a script of its own text
EXPLORER = """
from django.http import HttpResponse


def explorer(request):
    # Without an icon, Chromium asks for one, sooner or later.
    icon = "<link rel='icon' href='data:,'>"
    script = "<script>document.documentElement.id = 'run'</script>"
    return HttpResponse(f"<!doctype html>{icon}{script}")


urlpatterns += [
    path("cms/pages/", explorer, name="wagtailadmin_explore_root"),
    path("cms/other/", explorer, name="wagtailadmin_other"),
]
"""


def test_what_the_csp_refuses_is_allowed_for_one_page(
    make_site: Callable[..., Site], browser: Browser
) -> None:
    """As its chapter says, in both languages, whose code is the same."""
    site = make_site()
    with (site.path / site.slug / "urls.py").open("a") as urls:
        urls.write(EXPLORER)
    site.start()

    def runs(path: str) -> tuple[bool, str]:
        with browser.new_page() as page:
            said: list[str] = []
            page.on("console", lambda message: said.append(message.text))
            page.goto(f"http://127.0.0.1:{site.port}{path}")
            return page.evaluate("document.documentElement.id") == "run", "".join(said)

    shown = lesson_of(site)["docs/csp.md"].section("What you do instead").block("console").strip()
    ran, said = runs("/cms/pages/")
    assert (ran, shown in said) == (False, True)
    write_files(site, "docs/csp.md")
    site.supervisorctl("rolling_restart", "all", check=True)
    assert runs("/cms/pages/") == (True, "")
    assert runs("/cms/other/")[0] is False
