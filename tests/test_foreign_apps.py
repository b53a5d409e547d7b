"""Code that no one here wrote, on a generated site: Wagtail's start project, allauth, crispy-forms.

Added on a laptop as the lesson adds packages, released to a site that serves, and seen in Chromium.
"""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.lesson import write_files
from support.project import Project, copy_venv
from support.server import Server
from support.visit import Visit

pytestmark = pytest.mark.slow

PACKAGES = ("wagtail", "django-allauth", "django-crispy-forms", "crispy-bootstrap5")
# Of Wagtail's start project: the rest of it are settings and a base template, which a site has.
APPS = ("home", "search")
SETTINGS = """
ACCOUNT_EMAIL_VERIFICATION = "none"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
LOGIN_REDIRECT_URL = "home"
CRISPY_ALLOWED_TEMPLATE_PACKS = CRISPY_TEMPLATE_PACK = "bootstrap5"
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_000
WAGTAIL_SITE_NAME = SITE_NAME
WAGTAILADMIN_BASE_URL = "http://127.0.0.1"
# Else its pages ask other hosts, which the site's forbid.
WAGTAIL_ENABLE_UPDATE_CHECK = False
WAGTAIL_GRAVATAR_PROVIDER_URL = None
"""
ALSO_INSTALLED = """\
    "allauth",
    "allauth.account",
    "crispy_forms",
    "crispy_bootstrap5",
"""
MIDDLEWARE = """\
    "wagtail.contrib.redirects.middleware.RedirectMiddleware",
    "allauth.account.middleware.AccountMiddleware",
"""
URLS = """
urlpatterns += [
    path("cms/", include("wagtail.admin.urls")),
    path("documents/", include("wagtail.documents.urls")),
    path("search/", search, name="search"),
    path("accounts/", include("allauth.urls")),
    path("contact/", ContactView.as_view(), name="contact"),
    path("pages/", include("wagtail.urls")),
]
"""
IMPORTS = """
from pages.contact import ContactView
from search.views import search
"""
CONTACT = """
from crispy_forms.helper import FormHelper
from crispy_forms.layout import Submit
from django import forms
from django.views.generic import FormView


class ContactForm(forms.Form):
    name = forms.CharField()
    message = forms.CharField(widget=forms.Textarea)
    helper = FormHelper()
    helper.add_input(Submit("send", "Send"))


class ContactView(FormView):
    form_class = ContactForm
    template_name = "pages/contact.html"
"""
CONTACT_PAGE = """{% extends "pages/base.html" %}
{% load crispy_forms_tags %}
{% block title %}Contact{% endblock %}
{% block content %}<h1>Contact</h1>{% crispy form %}{% endblock %}
"""


def insert(file: Path, before: str, text: str) -> None:
    old = file.read_text()
    assert before in old
    file.write_text(old.replace(before, text + before, 1))


def append(file: Path, text: str) -> None:
    with file.open("a") as end:
        end.write(text)


@pytest.fixture(scope="module")
def laptop(made_venv: Path, served: Server) -> Project:
    """The code of the server's site, with what was added to it where one develops."""
    laptop = Project(served.code.with_name("laptop"))
    shutil.copytree(served.code, laptop.path)
    copy_venv(made_venv, laptop.path / "venv")
    laptop.run("./bootstrap.sh", "--dev")
    laptop.run("./packages.sh", "add", *PACKAGES)
    laptop.run("./bootstrap.sh")
    add_to(laptop)
    # For the explorer of Wagtail
    write_files(laptop, "docs/csp.md")
    return laptop


def add_to(laptop: Project) -> None:
    """What the manuals of the four say."""
    own, pages = laptop.path.with_name("own"), laptop.path / "pages"
    own.mkdir()
    laptop.run("venv/bin/wagtail", "start", "own", str(own))
    for app in APPS:
        shutil.copytree(own / app, laptop.path / app)
    apps = re.search(
        r"INSTALLED_APPS = \[\n(.*?)\]", (own / "own/settings/base.py").read_text(), re.DOTALL
    )
    assert apps
    of_wagtail = "".join(re.findall(r'    "(?!django\.).*\n', apps[1]))
    settings, urls = (laptop.path / laptop.slug / f"{name}.py" for name in ("settings", "urls"))
    insert(settings, '    "pages",\n', of_wagtail + ALSO_INSTALLED)
    insert(settings, '    "django.middleware.clickjacking', MIDDLEWARE)
    append(settings, SETTINGS)
    insert(urls, "\nurlpatterns", IMPORTS)
    append(urls, URLS)
    (pages / "contact.py").write_text(CONTACT)
    (pages / "templates/pages/contact.html").write_text(CONTACT_PAGE)
    (pages / "templates/base.html").write_text('{% extends "pages/base.html" %}\n')


def test_its_own_tests_pass(laptop: Project) -> None:
    """Wagtail's for its pages, ours for the site."""
    done = laptop.python("manage.py", "test")
    assert "\nOK\n" in done.stderr


def code_of(laptop: Project) -> Callable[[Path], None]:
    """For a release: the code as it stands on the laptop, and nothing of that machine."""
    left = shutil.ignore_patterns("venv", "var", ".env", "local.conf")

    def copy(folder: Path) -> None:
        shutil.copytree(laptop.path, folder, ignore=left, dirs_exist_ok=True)

    return copy


@pytest.fixture(scope="module")
def released(served: Server, laptop: Project) -> Server:
    served.release(code_of(laptop))
    manage = ("current/venv/bin/python", "current/manage.py")
    password = {**served.environment, "DJANGO_SUPERUSER_PASSWORD": PASSWORD}
    user = ("createsuperuser", "--noinput", "--username", "ada", "--email", "ada@example.org")
    served.run(*manage, *user, env=password)
    return served


PASSWORD = "lovelace-1843"

# Whoever is not logged in is sent to a login; the others are shown what they ask for.
OPEN = ("/", "/contact/", "/accounts/signup/", "/pages/", "/search/?query=home")
OWN = ("/accounts/email/", "/accounts/password/change/", "/admin/")
# The explorer is the lesson's example of pages that ask for more than the site allows.
WAGTAIL = ("/cms/", "/cms/pages/", "/cms/pages/3/", "/cms/images/", "/cms/documents/")


def test_pages_and_logins_break_no_rule(released: Server, visit: Callable[..., Visit]) -> None:
    """Of the Content-Security-Policy: Chromium says each break on its console."""
    window = visit(released)
    page = window.page

    def open_each(paths: tuple[str, ...]) -> None:
        for path in paths:
            assert window.open(path) == 200, path
            page.wait_for_load_state("networkidle")

    open_each(OPEN)
    for login, name, paths in (
        ("/accounts/login/", "login", OWN),
        ("/cms/login/", "username", WAGTAIL),
    ):
        open_each((login,))
        page.fill(f"[name={name}]", "ada")
        page.fill("[name=password]", PASSWORD)
        with page.expect_navigation():
            page.click("[type=submit]")
        assert page.context.cookies()
        open_each(paths)
        page.context.clear_cookies()
    # What Chromium advises on the forms of others is theirs.
    assert [problem for problem in window.problems if "[DOM]" not in problem] == []
