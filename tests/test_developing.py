"""What one develops with: the dev tools, check.sh and CI, translations, a second developer's port."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser
from support.commands import ENVIRONMENT, WITH_UV, Run, require
from support.files import moved
from support.git import git
from support.ports import free_port, listens
from support.project import Project, Site, copy_venv
from support.template import read
from support.waiting import eventually

pytestmark = pytest.mark.slow

CHECKS = (
    "venv/bin/ruff check",
    "venv/bin/ruff format --check",
    "venv/bin/python manage.py check",
    "venv/bin/python manage.py makemigrations --check",
    "venv/bin/python manage.py test",
)


@pytest.fixture(scope="module")
def site(make_site: Callable[..., Site]) -> Site:
    """A site with the dev tools, in git."""
    site = make_site(project_slug="shop")
    site.run("./bootstrap.sh", "--dev", env=WITH_UV)
    git(site.path, "init", "--quiet")
    git(site.path, "add", ".")
    git(site.path, "commit", "--quiet", "--message=first")
    return site


# The tools


def test_the_tools_stay_and_nobody_else_has_them(site: Site, made_venv: Path) -> None:
    tools = [site.path / "venv" / "bin" / name for name in ("ruff", "uv")]
    assert all(tool.exists() for tool in tools)
    assert not (made_venv / "bin" / "ruff").exists()
    done = site.run("./bootstrap.sh", env=WITH_UV)
    assert done.stdout.startswith("Everything is in place.")
    tools[0].unlink()
    site.run("./bootstrap.sh", env=WITH_UV)
    assert tools[0].exists()


def test_the_packages_of_a_release_are_listed(site: Site) -> None:
    chapter = (site.path / "docs" / "developing.md").read_text()
    (line,) = re.findall("^venv/bin/uv tool run .*", chapter, re.MULTILINE)
    site.run(*line.split(), env=WITH_UV)
    listed = json.loads((site.path / "var" / "packages.json").read_text())
    assert listed["bomFormat"] == "CycloneDX"
    lock = re.findall(r"^(\S+)==(\S+)", (site.path / "requirements.txt").read_text(), re.MULTILINE)
    assert sorted((each["name"], each["version"]) for each in listed["components"]) == sorted(lock)


def test_dependabot_watches_the_locks_and_the_workflow(site: Site) -> None:
    updates = yaml.safe_load((site.path / ".github" / "dependabot.yml").read_text())["updates"]
    assert [(each["package-ecosystem"], each["directory"]) for each in updates] == [
        ("uv", "/"),
        ("uv", "/deploy/ansible"),
        ("github-actions", "/"),
    ]


def test_both_locks_have_the_same_versions_of_what_both_have(site: Site) -> None:
    first, second = (
        dict(re.findall(r"^(\S+)==(\S+)", (site.path / name).read_text(), re.MULTILINE))
        for name in ("requirements.txt", "requirements-dev.txt")
    )
    both = first.keys() & second.keys()
    assert {"django", "asgiref", "sqlparse"} <= both
    assert [first[name] for name in both] == [second[name] for name in both]


@contextmanager
def runserver(site: Site, **environment: str) -> Iterator[int]:
    """Its port; the site's own may be in use."""
    port = free_port()
    with subprocess.Popen(
        ["venv/bin/python", "manage.py", "runserver", "--noreload", str(port)],
        cwd=site.path,
        env={**ENVIRONMENT, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            eventually(lambda: listens(port), 30)
            yield port
        finally:
            server.terminate()


def test_the_toolbar_shows_what_a_page_has_cost(site: Site, browser: Browser) -> None:
    """Beside a site that runs; the Content-Security-Policy has nothing to say."""
    site.start()
    page = browser.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    with runserver(site, DEBUG="on") as port:
        page.goto(f"http://127.0.0.1:{port}/healthz")
        page.goto(f"http://127.0.0.1:{port}/admin/login/")
        page.get_by_text("Username").first.wait_for()
        assert not page.locator("#djDebugToolbar").is_visible()
        page.locator("#djShowToolBarButton").click()
        for panel, content in (
            ("TemplatesPanel", "admin/login.html"),
            ("SQLPanel", "SQL queries"),
            ("SettingsPanel", "CONTENT_SECURITY_POLICY"),
        ):
            page.locator(f"#djDebug a.{panel}").click()
            page.locator(f"#{panel}").get_by_text(content).first.wait_for()
    page.close()
    site.stop()
    # Chromium asks for an icon by itself.
    assert [text for text in problems if "favicon" not in text and "404" not in text] == []


def test_without_debug_it_is_not_there(site: Site) -> None:
    """Not in tests either, wherever DEBUG is on."""
    with runserver(site, DEBUG="off") as port:
        assert "djDebug" not in site.get("/", port=port).text
        assert site.get("/__debug__/render_panel/", port=port).status == 404
    site.python("manage.py", "test", env={**ENVIRONMENT, "DEBUG": "on"})


# One command that checks everything


NEWS = """

class News(models.Model):
    title = models.CharField(max_length=80)

    def __str__(self):
        return self.title
"""
MISTAKES = [
    ("pages/views.py", "import json\n", 1, "F401"),
    ("pages/views.py", "x = { }\n", 2, "pages/views.py"),
    ("shop/settings.py", "MIDDLEWARE = MIDDLEWARE[-1:]\n", 3, "admin.E408"),
    ("pages/models.py", f"from django.db import models\n{NEWS}", 4, "Create model News"),
    (
        "pages/tests.py",
        "\n\nclass Fails(PageTestCase):\n    def test_it(self):\n        self.fail()\n",
        5,
        "Fails.test_it",
    ),
]


def checked(run: Run) -> tuple[str, ...]:
    """The commands that check.sh has shown."""
    return tuple(re.findall(r"^\+ (.*)$", run.stderr, re.MULTILINE))


@pytest.mark.parametrize(("file", "text", "number", "said"), MISTAKES)
def test_check_ends_at_the_first_mistake(
    site: Site, file: str, text: str, number: int, said: str
) -> None:
    with (site.path / file).open("a") as source:
        source.write(text)
    try:
        done = site.run("./check.sh", check=False)
    finally:
        git(site.path, "clean", "--quiet", "--force")
        git(site.path, "checkout", "--quiet", ".")
    assert done.returncode != 0
    assert checked(done) == CHECKS[:number]
    assert said in done.stdout + done.stderr


def test_without_the_tools_check_names_the_command(site: Site) -> None:
    with moved(site.path / "venv" / "bin" / "ruff"):
        done = site.run("./check.sh", check=False)
    assert (done.returncode, done.stderr) == (
        1,
        "ruff is missing in the venv: ./bootstrap.sh --dev adds it.\n",
    )


# A clone: CI's, and a second developer's


@pytest.fixture(scope="module")
def clone(site: Site, made_venv: Path, short_folder: Path) -> Iterator[Site]:
    """Its venv is there already, which takes longest."""
    git(short_folder, "clone", "--quiet", str(site.path), "second")
    port = free_port()
    clone = Site(short_folder / "second", port, port + 1)
    copy_venv(made_venv, clone.path / "venv")
    yield clone
    clone.stop()


def test_ci_runs_the_same_two_commands(clone: Site) -> None:
    """Of GitHub and of GitLab; the action that fetches the code is the one of the template's own CI."""
    github = yaml.safe_load((clone.path / ".github/workflows/check.yml").read_text())
    (job,) = github["jobs"].values()
    checkout, *steps = job["steps"]
    gitlab = yaml.safe_load((clone.path / ".gitlab-ci.yml").read_text())["check"]["script"]
    assert [step["run"] for step in steps] == gitlab
    assert github["permissions"] == {"contents": "read"}
    template = yaml.safe_load(read(".github/workflows/ci.yml"))["jobs"]["test"]
    assert checkout["uses"] == template["steps"][0]["uses"]
    set_up, check = (clone.run("sh", "-ec", command, env=WITH_UV) for command in gitlab)
    assert "Everything is in place." in set_up.stdout
    assert checked(check) == CHECKS
    assert git(clone.path, "status", "--porcelain") == ""


def test_a_second_developer_is_at_work_beside_the_first(site: Site, clone: Site) -> None:
    """On a port of their own, without a change of a tracked file; it stays until the file is gone."""
    site.start()
    warned = clone.run("./bootstrap.sh", env=WITH_UV)
    assert warned.stderr.splitlines()[0] == (
        f"127.0.0.1:{site.port} cannot be used (Address already in use): stop the program that listens"
        " there, or change the address in deploy/supervisord.conf; for this machine alone,"
        " ./bootstrap.sh --port NUMBER does it."
    )
    done = clone.run("./bootstrap.sh", "--port", str(clone.port), env=WITH_UV)
    assert done.stderr == ""
    assert f"http://127.0.0.1:{clone.port}/\n" in done.stdout
    clone.start()
    assert site.answers()
    assert listens(clone.web_port)
    done = clone.supervisorctl("rolling_restart", "gu-shop", check=True)
    assert done.stdout.count(": running") == 2
    assert clone.answers()
    assert git(clone.path, "status", "--porcelain") == ""
    clone.stop()
    site.stop()

    again = clone.run("./bootstrap.sh", env=WITH_UV).stdout
    assert f"http://127.0.0.1:{clone.port}/\n" in again
    (clone.path / "deploy" / "local.conf").unlink()
    again = clone.run("./bootstrap.sh", env=WITH_UV).stdout
    assert f"http://127.0.0.1:{site.port}/\n" in again


def test_without_a_web_interface_the_port_is_the_sites_alone(
    bake: Callable[..., Project], made_venv: Path
) -> None:
    project = bake(web_interface="off")
    copy_venv(made_venv, project.path / "venv")
    project.run("./bootstrap.sh", "--port", "8010", env=WITH_UV)
    local = (project.path / "deploy" / "local.conf").read_text()
    assert "socket = tcp://127.0.0.1:8010" in local
    assert "inet_http_server" not in local


# Texts in other languages

TEMPLATE = '{% load i18n %}\n<p>{% translate "Good morning" %}</p>\n'
SAY = (
    "from django.utils import translation as t; t.activate('de'); print(t.gettext('Good morning'))"
)


def test_makemessages_finds_the_texts_of_the_site_alone(site: Site) -> None:
    require("xgettext")

    def packages() -> dict[Path, int]:
        files = site.path.glob("venv/lib/*/site-packages/*/**/*.[pm]o")
        return {file: file.stat().st_mtime_ns for file in files}

    before = packages()
    (site.path / "pages" / "locale").mkdir()
    (site.path / "pages" / "templates" / "pages" / "hello.html").write_text(TEMPLATE)
    site.python("manage.py", "makemessages", "--locale", "de")
    messages = site.path / "pages" / "locale" / "de" / "LC_MESSAGES" / "django.po"
    text = messages.read_text()
    assert "#: pages/templates/pages/hello.html:2\n" in text
    assert "venv" not in text
    translated = 'msgid "Good morning"\nmsgstr "Guten Morgen"'
    messages.write_text(text.replace('msgid "Good morning"\nmsgstr ""', translated))
    said = site.python("manage.py", "compilemessages").stdout
    assert said.count("processing file") == 1
    assert packages() == before
    said = site.python("manage.py", "shell", "--no-imports", "-c", SAY).stdout
    assert said == "Guten Morgen\n"
