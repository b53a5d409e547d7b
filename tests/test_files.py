"""The files of a generated project, as a reader and the linters see them."""

import ast
import re
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from support.commands import require
from support.files import moved
from support.project import Project, Site
from support.service_files import filled
from support.template import DATABASES, LANGUAGES, ROOT, TASKS

FILES = [
    ".env.example",
    ".gitattributes",
    ".github/dependabot.yml",
    ".github/workflows/check.yml",
    ".gitignore",
    ".gitlab-ci.yml",
    "README.md",
    "TEMPLATE_VERSION",
    "accounts/__init__.py",
    "accounts/admin.py",
    "accounts/apps.py",
    "accounts/migrations/0001_initial.py",
    "accounts/migrations/__init__.py",
    "accounts/models.py",
    "accounts/tests.py",
    "bootstrap.sh",
    "check.sh",
    "deploy/ansible/ansible.cfg",
    "deploy/ansible/lines.py",
    "deploy/ansible/playbook.yml",
    "deploy/ansible/requirements.in",
    "deploy/ansible/requirements.txt",
    "deploy/backup.sh",
    "deploy/cron.d/nightly",
    "deploy/gunicorn.conf.py",
    "deploy/gunicorn_classes/__init__.py",
    "deploy/gunicorn_classes/logger.py",
    "deploy/gunicorn_classes/worker.py",
    "deploy/init.d/supervisord",
    "deploy/install.sh",
    "deploy/inventory.ini",
    "deploy/manage.sh",
    "deploy/nginx/headers.conf",
    "deploy/nginx/http.conf",
    "deploy/nginx/https.conf",
    "deploy/nginx/site.conf",
    "deploy/nginx/tls.conf",
    "deploy/nginx/upstream.conf",
    "deploy/release.sh",
    "deploy/restore.sh",
    "deploy/server/__init__.py",
    "deploy/server/__main__.py",
    "deploy/server/alerts.py",
    "deploy/server/backup.py",
    "deploy/server/bootstrap.py",
    "deploy/server/changes.py",
    "deploy/server/code.py",
    "deploy/server/commands.py",
    "deploy/server/database.py",
    "deploy/server/environment.py",
    "deploy/server/facts.py",
    "deploy/server/health.py",
    "deploy/server/https.py",
    "deploy/server/install.py",
    "deploy/server/launch.sh",
    "deploy/server/machine.py",
    "deploy/server/mail_sender.py",
    "deploy/server/mails.py",
    "deploy/server/manage.py",
    "deploy/server/nginx.py",
    "deploy/server/options.py",
    "deploy/server/packages.py",
    "deploy/server/preflight.py",
    "deploy/server/probes.py",
    "deploy/server/release.py",
    "deploy/server/releases.py",
    "deploy/server/restore.py",
    "deploy/server/rpc.py",
    "deploy/server/schema.py",
    "deploy/server/secret_files.py",
    "deploy/server/servers.py",
    "deploy/server/service.py",
    "deploy/server/site_folder.py",
    "deploy/server/site_user.py",
    "deploy/server/status.py",
    "deploy/server/supervisord_conf.py",
    "deploy/server/uninstall.py",
    "deploy/server/venvs.py",
    "deploy/servers.sh",
    "deploy/supervisor_plugin/__init__.py",
    "deploy/supervisor_plugin/children.py",
    "deploy/supervisor_plugin/config_check.py",
    "deploy/supervisor_plugin/failed_logins.py",
    "deploy/supervisor_plugin/fd_store.py",
    "deploy/supervisor_plugin/held_sockets.py",
    "deploy/supervisor_plugin/pace.py",
    "deploy/supervisor_plugin/plain_commands.py",
    "deploy/supervisor_plugin/plain_errors.py",
    "deploy/supervisor_plugin/readable_logs.py",
    "deploy/supervisor_plugin/readiness.py",
    "deploy/supervisor_plugin/retries.py",
    "deploy/supervisor_plugin/rolling_restart.py",
    "deploy/supervisor_plugin/same_origin.py",
    "deploy/supervisor_plugin/server.py",
    "deploy/supervisor_plugin/systemd.py",
    "deploy/supervisord.conf",
    "deploy/systemd/check.service",
    "deploy/systemd/check.timer",
    "deploy/systemd/supervisord.service",
    "docs/2010.md",
    "docs/app.md",
    "docs/copies.md",
    "docs/csp.md",
    "docs/developing.md",
    "docs/installation.md",
    "docs/mail.md",
    "docs/nginx.md",
    "docs/photos.md",
    "docs/precautions.md",
    "docs/releases.md",
    "docs/servers.md",
    "docs/service.md",
    "docs/supervisorctl.md",
    "docs/supervisord.md",
    "docs/troubles.md",
    "docs/updates.md",
    "manage.py",
    "packages.sh",
    "pages/__init__.py",
    "pages/management/__init__.py",
    "pages/management/commands/__init__.py",
    "pages/management/commands/compilemessages.py",
    "pages/management/commands/makemessages.py",
    "pages/migrations/__init__.py",
    "pages/static/pages/icon.svg",
    "pages/static/pages/pico.min.css",
    "pages/static/pages/site.css",
    "pages/templates/400.html",
    "pages/templates/403.html",
    "pages/templates/403_csrf.html",
    "pages/templates/404.html",
    "pages/templates/500.html",
    "pages/templates/503.html",
    "pages/templates/pages/base.html",
    "pages/templates/pages/home.html",
    "pages/testing.py",
    "pages/tests.py",
    "pages/views.py",
    "pyproject.toml",
    "requirements-dev.in",
    "requirements-dev.txt",
    "requirements.in",
    "requirements.txt",
    "site_x/__init__.py",
    "site_x/dot_env.py",
    "site_x/error_mails.py",
    "site_x/settings.py",
    "site_x/urls.py",
    "site_x/wsgi.py",
    "var/log/.gitignore",
]
# What a project with PostgreSQL has beside.
POSTGRESQL_FILES = [
    "deploy/nginx/behind_front.conf",
    "deploy/nginx/front.conf",
    "deploy/server/fleet.py",
    "deploy/server/hosts.py",
    "deploy/server/postgresql.py",
    "deploy/server/roles.py",
    "deploy/server/shared.py",
    "docs/fleet.md",
    "docs/postgresql.md",
    "pages/management/commands/migrate.py",
]
# And one with tasks.
CELERY_FILES = [
    "deploy/redis.conf",
    "deploy/server/tasks.py",
    "docs/tasks.md",
    "pages/management/commands/queue.py",
    "pages/queue.py",
    "pages/tasks.py",
    "site_x/beat.py",
    "site_x/broker.py",
    "site_x/celery.py",
    "site_x/queued_mails.py",
]
SCRIPTS = [
    "bootstrap.sh",
    "check.sh",
    "deploy/backup.sh",
    "deploy/init.d/supervisord",
    "deploy/install.sh",
    "deploy/manage.sh",
    "deploy/release.sh",
    "deploy/restore.sh",
    "deploy/servers.sh",
    "packages.sh",
    "deploy/server/launch.sh",
]
# The last one is run by the others.
EXECUTABLE = {*SCRIPTS[:-1], "manage.py"}
# Of a shell script, as a reader gets it; what is longer wants to be Python.
LONGEST_SCRIPT = 150


@pytest.fixture(scope="module", params=product(LANGUAGES, DATABASES, TASKS), ids="-".join)
def project(request: pytest.FixtureRequest, bake: Callable[..., Project]) -> Project:
    language, database, tasks = request.param
    return bake(language=language, database=database, tasks=tasks, project_slug="site_x")


@pytest.mark.parametrize(
    ("answers", "more"),
    [
        ({}, []),
        ({"web_interface": "off"}, []),
        ({"database": "postgresql"}, POSTGRESQL_FILES),
        ({"tasks": "celery"}, CELERY_FILES),
    ],
    ids=["web", "no web", "postgresql", "celery"],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_exact_set_of_files(
    bake: Callable[..., Project], language: str, answers: dict[str, str], more: list[str]
) -> None:
    path = bake(language=language, **answers, project_slug="site_x").path
    found = {str(file.relative_to(path)): file for file in path.rglob("*") if file.is_file()}
    assert sorted(found) == sorted([*FILES, *more])
    assert {name for name, file in found.items() if file.stat().st_mode & 0o111} == EXECUTABLE


def test_nothing_of_jinja_is_left(project: Project) -> None:
    for file in filter(Path.is_file, project.path.rglob("*")):
        name, text = str(file.relative_to(project.path)), file.read_text(encoding="utf-8")
        # The chapter on updates names what the project came from.
        assert "cookiecutter" not in text.lower() or name == "docs/updates.md"
        assert not re.search(r"[#;]: |\b_(sh|py|html|)\(|[\x00-\x08]", text), name
        # The lesson shows templates.
        text = re.sub(r"```(html|diff)\n.*?```", "x", text, flags=re.DOTALL)
        if not name.endswith((".html", ".css", "playbook.yml")):
            assert not re.search(r"\{\{|\{%|%\}", text), name
        assert text == "" or text.endswith("\n"), name
        assert not re.search(r"[ \t]$|\n\n\n\n", text, re.MULTILINE), name


def test_python_is_clean(project: Project) -> None:
    project.run(sys.executable, "-m", "ruff", "check")
    project.run(sys.executable, "-m", "ruff", "format", "--check")


def test_shell_is_clean(project: Project) -> None:
    project.run(require("shellcheck"), *SCRIPTS)
    project.run(require("checkbashisms"), *SCRIPTS)
    for name in SCRIPTS:
        assert (project.path / name).read_text().count("\n") <= LONGEST_SCRIPT, name


def test_python_of_deploy_is_python_before_jinja_has_seen_it() -> None:
    """But for the one module that holds the facts."""
    modules = set((ROOT / "{{cookiecutter.project_slug}}" / "deploy").rglob("*.py"))
    (facts,) = (module for module in modules if module.name == "facts.py")
    for module in modules - {facts}:
        ast.parse(module.read_text())
        assert "{%" not in module.read_text(), module


def test_the_unit_leaves_the_site_no_right_that_it_does_not_need(project: Project) -> None:
    """systemd's own measure: 1.5 at most, where 10 is no protection at all."""
    measure = (require("systemd-analyze"), "security", "--offline=true", "--threshold=15")
    unit = project.path.parent / "supervisord.service"
    unit.write_text(filled(project, "systemd/supervisord.service"))
    project.run(*measure, str(unit))


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
    assert 'LANGUAGE_CODE = "fr"' in (french / "site_x/settings.py").read_text()


@pytest.fixture(scope="module", params=LANGUAGES)
def site(request: pytest.FixtureRequest, make_site: Callable[..., Site]) -> Site:
    return make_site(language=request.param, project_name='L\'Été – 100 % "sûr" 😀')


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
