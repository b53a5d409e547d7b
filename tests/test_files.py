"""The files of a generated project, as a reader and the linters see them."""

import re
import sys
from collections.abc import Callable

import pytest
from support.commands import require
from support.files import moved
from support.project import Project, Site
from support.template import LANGUAGES

FILES = [
    ".env.example",
    ".gitignore",
    "README.md",
    "bootstrap.sh",
    "deploy/backup.py",
    "deploy/cron.d/backup",
    "deploy/gunicorn.conf.py",
    "deploy/gunicorn_logger.py",
    "deploy/gunicorn_worker.py",
    "deploy/init.d/supervisord",
    "deploy/install.py",
    "deploy/install.sh",
    "deploy/install_changes.py",
    "deploy/install_refusals.py",
    "deploy/install_service.py",
    "deploy/nginx/headers.conf",
    "deploy/nginx/http.conf",
    "deploy/nginx/https.conf",
    "deploy/nginx/site.conf",
    "deploy/release.py",
    "deploy/release.sh",
    "deploy/release_candidate.py",
    "deploy/release_commands.py",
    "deploy/release_folder.py",
    "deploy/supervisor_plugin/__init__.py",
    "deploy/supervisor_plugin/held_sockets.py",
    "deploy/supervisor_plugin/pace.py",
    "deploy/supervisor_plugin/plain_errors.py",
    "deploy/supervisor_plugin/readiness.py",
    "deploy/supervisor_plugin/rolling_restart.py",
    "deploy/supervisor_plugin/same_origin.py",
    "deploy/supervisor_plugin/server.py",
    "deploy/supervisord.conf",
    "deploy/systemd/supervisord.service",
    "docs/2010.md",
    "docs/installation.md",
    "docs/nginx.md",
    "docs/precautions.md",
    "docs/releases.md",
    "docs/service.md",
    "docs/supervisorctl.md",
    "docs/supervisord.md",
    "docs/troubles.md",
    "manage.py",
    "pages/__init__.py",
    "pages/static/pages/icon.svg",
    "pages/static/pages/site.css",
    "pages/templates/400.html",
    "pages/templates/403.html",
    "pages/templates/403_csrf.html",
    "pages/templates/404.html",
    "pages/templates/500.html",
    "pages/templates/pages/base.html",
    "pages/templates/pages/home.html",
    "pages/tests.py",
    "pages/views.py",
    "requirements.in",
    "requirements.txt",
    "site_x/__init__.py",
    "site_x/settings.py",
    "site_x/urls.py",
    "site_x/wsgi.py",
    "var/log/.gitignore",
]
SCRIPTS = ["bootstrap.sh", "deploy/init.d/supervisord", "deploy/install.sh", "deploy/release.sh"]
EXECUTABLE = {*SCRIPTS, "manage.py"}


@pytest.fixture(scope="module", params=LANGUAGES)
def project(request: pytest.FixtureRequest, bake: Callable[..., Project]) -> Project:
    return bake(language=request.param, project_slug="site_x")


@pytest.mark.parametrize("web_interface", ["127.0.0.1:9001", "off"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_exact_set_of_files(
    bake: Callable[..., Project], language: str, web_interface: str
) -> None:
    path = bake(language=language, web_interface=web_interface, project_slug="site_x").path
    found = {str(file.relative_to(path)): file for file in path.rglob("*") if file.is_file()}
    assert sorted(found) == FILES
    assert {name for name, file in found.items() if file.stat().st_mode & 0o111} == EXECUTABLE


def test_nothing_of_jinja_is_left(project: Project) -> None:
    for name in FILES:
        text = (project.path / name).read_text(encoding="utf-8")
        assert "cookiecutter" not in text.lower()
        assert not re.search(r"[#;]: |\b_(sh|py|html|)\(|[\x00-\x08]", text), name
        if not name.endswith(".html"):
            assert not re.search(r"\{\{|\{%|%\}", text), name
        assert text == "" or text.endswith("\n"), name
        assert not re.search(r"[ \t]$|\n\n\n\n", text, re.MULTILINE), name


def test_python_is_clean(project: Project) -> None:
    project.run(sys.executable, "-m", "ruff", "check", "--isolated", ".")
    project.run(sys.executable, "-m", "ruff", "format", "--isolated", "--check", ".")


def test_shell_is_clean(project: Project) -> None:
    project.run(require("shellcheck"), *SCRIPTS)
    project.run(require("checkbashisms"), *SCRIPTS)


def test_the_unit_leaves_the_site_no_right_that_it_does_not_need(project: Project) -> None:
    """systemd's own measure: 1.5 at most, where 10 is no protection at all."""
    measure = (require("systemd-analyze"), "security", "--offline=true", "--threshold=15")
    project.run(*measure, "deploy/systemd/supervisord.service")


def test_the_language_is_the_one_chosen(bake: Callable[..., Project]) -> None:
    english, french = (
        bake(language=language, project_slug="site_x").path for language in LANGUAGES
    )
    for name in (
        "README.md",
        "docs/installation.md",
        "bootstrap.sh",
        "deploy/supervisord.conf",
        "pages/views.py",
    ):
        assert (english / name).read_text() != (french / name).read_text()
    assert '<html lang="fr">' in (french / "pages/templates/pages/base.html").read_text()
    assert 'LANGUAGE_CODE = "fr"' in (french / "site_x/settings.py").read_text()


@pytest.fixture(scope="module", params=LANGUAGES)
def site(request: pytest.FixtureRequest, make_site: Callable[..., Site]) -> Site:
    return make_site(language=request.param, project_name='L\'Été – 100 % "sûr" 😀')


@pytest.mark.slow
def test_its_own_tests_pass(site: Site) -> None:
    done = site.python("manage.py", "test")
    assert re.search(r"Ran [1-9]\d* tests", done.stderr)


@pytest.mark.slow
def test_django_finds_nothing_to_say(site: Site) -> None:
    production = {"HTTPS": "on", "PATH": "/usr/bin:/bin"}
    site.python("manage.py", "check", "--deploy", "--fail-level", "WARNING", env=production)
    site.python("manage.py", "makemigrations", "--check")


@pytest.mark.slow
def test_settings_are_safe_without_env(site: Site) -> None:
    """A server without .env: no DEBUG, https only, and no start without a secret key."""
    with moved(site.path / ".env"):
        show = "from django.conf import settings as s; print(s.DEBUG, s.SECURE_SSL_REDIRECT)"
        done = site.python(
            "manage.py", "shell", "--no-imports", "-c", show, env={"SECRET_KEY": "x"}
        )
        assert done.stdout == "False True\n"
        assert "SECRET_KEY" in site.python("manage.py", "check", check=False).stderr


@pytest.mark.slow
def test_gunicorn_accepts_its_settings(site: Site) -> None:
    site.run("venv/bin/gunicorn", "--check-config", "--config", "deploy/gunicorn.conf.py")


@pytest.mark.slow
def test_sqlite_takes_writers_in_turn(site: Site) -> None:
    show = (
        "from django.db import connection as c; c.ensure_connection();"
        "print([c.cursor().execute(f'PRAGMA {p}').fetchone()[0] for p in ('journal_mode', 'synchronous')],"
        " c.transaction_mode)"
    )
    done = site.python("manage.py", "shell", "--no-imports", "-c", show)
    assert done.stdout == "['wal', 1] IMMEDIATE\n"


@pytest.mark.parametrize(
    ("bind", "trusted"),
    [
        ("127.0.0.1:8000", "127.0.0.1"),
        ("localhost:8000", "127.0.0.1"),
        ("0.0.0.0:8000", "127.0.0.1"),
        ("192.168.1.5:8000", "127.0.0.1,192.168.1.5"),
    ],
)
def test_gunicorn_believes_the_proxy_of_its_machine(
    bake: Callable[..., Project], bind: str, trusted: str
) -> None:
    """To one of the machine's own addresses, Linux calls from that very address."""
    settings = (bake(bind=bind).path / "deploy" / "gunicorn.conf.py").read_text()
    assert f'\nforwarded_allow_ips = "{trusted}"\n' in settings
