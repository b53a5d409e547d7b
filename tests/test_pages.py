"""The pages of a site as visitors see them: in Chromium, on a phone and on a desk, light and dark.

Checked with axe-core against WCAG 2.2 AA; nothing may come from another host or break the
Content-Security-Policy.
"""

import re
from collections.abc import Callable

import pytest
from support.project import Site
from support.template import LANGUAGES
from support.visit import DESK, Scheme, Visit

pytestmark = pytest.mark.slow

PHONE = (390, 844)
# What 200 % of zoom leaves of a phone and of a desk, in CSS pixels.
ZOOMED_PHONE, ZOOMED_DESK = (195, 422), (720, 450)
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
# The first page that one writes, with what most need.
FIRST_PAGE = """
from django import forms
from django.contrib import messages
from django.shortcuts import render


class FirstForm(forms.Form):
    name = forms.CharField(help_text="As others read it")
    mail = forms.EmailField()
    text = forms.CharField(widget=forms.Textarea)
    day = forms.DateField(widget=forms.DateInput({"type": "date"}))
    colour = forms.ChoiceField(choices=[("r", "Red"), ("g", "Green")])
    size = forms.ChoiceField(choices=[("s", "S"), ("m", "M")], widget=forms.RadioSelect)
    sure = forms.BooleanField()


def first(request):
    form = FirstForm(request.POST or None)
    if request.method == "POST":
        messages.success(request, "It was sent.")
        messages.error(request, "It was not.")
        form.is_valid()
    return render(request, "first.html", {"form": form, "rows": range(3)})


urlpatterns += [path("first", first)]
"""
FIRST_TEMPLATE = """{% extends "pages/base.html" %}
{% block title %}First{% endblock %}
{% block header %}<h1>First</h1>{% endblock %}
{% block content %}
<form method="post" novalidate>
  {% csrf_token %}
  {{ form }}
  <button>Send</button>
</form>
<table>
  <thead><tr><th scope="col">Name</th><th scope="col">Mail</th><th scope="col">Day</th></tr></thead>
  <tbody>
    {% for row in rows %}
    <tr><th scope="row">Ada</th><td><a href="#{{ row }}">ada.lovelace@example.com</a></td><td>1843</td></tr>
    {% endfor %}
  </tbody>
</table>
{% endblock %}
"""
# Contrast of the edge of the first field, in WCAG's measure (1 to 21), with what is below it.
EDGE = """() => {
  const luminance = colour => colour.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255)
    .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0.05)
  const field = getComputedStyle(document.querySelector("input[name=name]"))
  const page = getComputedStyle(document.documentElement)
  const [dark, bright] = [field.borderTopColor, page.backgroundColor].map(luminance).sort()
  return bright / dark
}"""


def start(site: Site) -> Site:
    """Adds the pages that fail, and the first one; starts the site."""
    with (site.path / site.slug / "urls.py").open("a") as urls:
        urls.write(FAILING_PAGES + FIRST_PAGE)
    (site.path / "pages" / "templates" / "first.html").write_text(FIRST_TEMPLATE)
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


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", [PHONE, ZOOMED_PHONE, DESK])
def test_the_first_page_that_one_writes_is_handsome(
    site: Site, visit: Callable[..., Visit], size: tuple[int, int], scheme: Scheme
) -> None:
    """A form, a table, messages and errors, written as Django's manual shows them."""
    window = visit(site, size, scheme)
    assert window.open("/first") == 200
    window.look()
    assert window.page.evaluate(EDGE) >= 3
    first_field = window.page.locator("main form").bounding_box()
    banner = window.page.locator("body > header").bounding_box()
    assert first_field
    assert banner
    assert first_field["y"] >= banner["y"] + banner["height"]

    window.page.click("button")
    assert window.page.locator(".messages p").all_inner_texts() == ["It was sent.", "It was not."]
    assert window.page.locator(".errorlist").count() == 6
    window.look()
    assert window.problems == []


def test_who_forgot_a_password_finds_the_way(site: Site, visit: Callable[..., Visit]) -> None:
    window = visit(site)
    window.open("/admin/login/")
    window.page.click(".password-reset-link a")
    window.page.fill("input[name=email]", "nobody@example.com")
    window.page.click("input[type=submit]")
    assert window.page.url.endswith("/admin/password_reset/done/")
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
        colour = window.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
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
