"""A site that an older state of the template made takes up this one, as its chapter says."""

import json
import re
import shutil
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import pytest
from load import visitors
from support.commands import WITH_UV
from support.documents import typed
from support.git import commit_all, git
from support.postgresql import Cluster
from support.project import Project, copy_venv
from support.server import Server
from support.template import LANGUAGES, read
from support.updates import (
    CONTESTED,
    MARKS,
    NEXT,
    TEMPLATE,
    answered,
    begin_next,
    clone_of_the_template,
    commands,
    keep_both,
    make,
    type_lines,
    versions,
)

pytestmark = pytest.mark.slow

VERSIONS = versions()
NEWEST, *OLDER = VERSIONS
# The last state in both languages; those before it, from the oldest on, in one each, by turns.
STATES = [*((NEWEST, language) for language in LANGUAGES), *zip(OLDER[::-1], cycle(LANGUAGES))]
UPGRADINGS = ("UPGRADING.md", "UPGRADING.fr.md")
SETTING = "SESSION_COOKIE_AGE = 3600\n"
PROGRAM = "\n[program:mine]\ncommand = sleep 1000\n"
RULE = ".mine { color: red; }\n"


@pytest.fixture(scope="module")
def history(short_folder: Path) -> Path:
    clone = clone_of_the_template(short_folder)
    begin_next(clone)
    return clone


def edit(site: Path) -> None:
    """As its owner: a page, a model, a setting, a program, a rule where the next version has one."""
    (site / "pages/templates/pages/about.html").write_text("About us\n")
    urls = site / "shop/urls.py"
    line = '    path("admin/", admin.site.urls),\n'
    assert line in urls.read_text()
    about = '    path("about/", views.about),\n'
    urls.write_text(urls.read_text().replace(line, about + line))
    with (site / "pages/views.py").open("a") as views:
        views.write('\n\ndef about(request):\n    return render(request, "pages/about.html")\n')
    (site / "pages/models.py").write_text(
        "from django.db import models\n\n\n"
        "class Basket(models.Model):\n    content = models.TextField()\n"
    )
    (site / "pages/migrations").mkdir(exist_ok=True)
    (site / "pages/migrations/__init__.py").touch()
    (site / "pages/migrations/0001_basket.py").write_text(
        "from django.db import migrations, models\n\n\n"
        "class Migration(migrations.Migration):\n    initial = True\n    operations = [\n"
        "        migrations.CreateModel(\n"
        '            "Basket",\n'
        '            [("id", models.BigAutoField(primary_key=True, serialize=False,'
        ' auto_created=True, verbose_name="ID")), ("content", models.TextField())],\n'
        "        )\n    ]\n"
    )
    for name, text in (
        ("shop/settings.py", SETTING),
        ("deploy/supervisord.conf", PROGRAM),
        (CONTESTED, RULE),
    ):
        with (site / name).open("a") as opened:
            opened.write(text)


def update(site: Path, template: Path) -> str:
    """By cruft; returns what the command of the chapter says of conflicts."""
    type_lines(site, ["cruft update --skip-apply-ask"], template)
    lines = commands(site, "git grep")
    return type_lines(site, lines, template, check=False)


def update_by_hand(
    site: Path, lines: list[str], template: Path, state: str, **answers: str
) -> None:
    """As the chapter's last section says; the questions are answered on the command line."""
    given = " ".join(f"{name}={value}" for name, value in answers.items())
    assert [line.split()[0] for line in lines[:2]] == ["cookiecutter"] * 2
    before, after = (f"{line} --no-input {given}" for line in lines[:2])
    before = re.sub(r"--checkout \S+", f"--checkout {VERSIONS[state]}", before)
    *others, cherry_pick = lines[2:]
    type_lines(site.parent, [before, after, *others], template)
    type_lines(site, [cherry_pick], template, check=False)
    keep_both(site)


def link(site: Path, template: Path, commit: str, **answers: str) -> None:
    line = f"cruft link --checkout {commit} {TEMPLATE}"
    type_lines(site, [answered(line, answers)], template)
    commit_all(site)


class Upgrading(NamedTuple):
    """What UPGRADING.md has its reader write and type to move the users."""

    script: str
    at_home: list[str]
    on_server: list[str]


def upgrading() -> Upgrading:
    english, french = ([*typed(read(name))] for name in UPGRADINGS)
    assert english == french
    ((_, script),) = (block for block in english if block[0].startswith("python "))
    at_home, on_server = (text.splitlines() for kind, text in english if kind == "sh")
    return Upgrading(script, at_home, on_server)


def move_users(site: Project) -> None:
    """At home."""
    move = upgrading()
    (site.path / "move_users.py").write_text(move.script)
    site.run("sh", "-ec", "\n".join(move.at_home), env=WITH_UV)


def test_a_site_knows_where_it_comes_from(history: Path, folder: Path) -> None:
    """Once its chapter's lines are typed, between two versions too; if cruft makes it, at once."""
    now, following = git(history, "log", "-2", "--reverse", "--format=%H").split()
    answers = {"language": "fr", "project_slug": "shop"}
    linked = make(history, now, folder, **answers)
    first, link, *commit = commands(linked, "pipx install cruft\n")
    assert first == "pipx install cruft"
    type_lines(linked, [answered(link, answers), *commit, "cruft diff >diff"], history)
    assert (linked / "diff").read_text() == ""
    (create,) = commands(linked, "cruft create ")
    type_lines(folder, [f"mkdir new; cd new; {answered(create, answers)}"], history)
    for site, expected in ((linked, now), (folder / "new/shop", following)):
        known = json.loads((site / ".cruft.json").read_text())
        assert known["commit"] == expected
        assert known["context"]["cookiecutter"].items() >= answers.items()


@pytest.mark.parametrize(("state", "language"), STATES)
def test_a_site_takes_up_this_version(
    state: str, language: str, history: Path, folder: Path, made_venv: Path
) -> None:
    answers = {"language": language, "project_slug": "shop", "web_interface": "off"}
    site = Project(make(history, VERSIONS[state], folder, **answers))
    edit(site.path)
    link(site.path, history, VERSIONS[state], **answers)
    by_hand = folder / "hand" / "shop"
    git(folder, "clone", "--quiet", str(site.path), str(by_hand))
    runs = language == "en"
    if runs:
        copy_venv(made_venv, site.path / "venv")
        site.run("./bootstrap.sh", env=WITH_UV)
    else:
        (site.path / ".env").write_text("SECRET_KEY=of-my-own\nDEBUG=off\nHTTPS=off\n")
    settings = (site.path / ".env").read_text()
    (site.path / "var/mine").write_text("mine")
    conflicts = update(site.path, history)
    # A conflict is never silent.
    names = git(site.path, "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    files = {site.path / name for name in names}
    marked = {p for p in files if p.is_file() and MARKS.search(p.read_text())}
    assert marked == {site.path / line.partition(":")[0] for line in conflicts.splitlines()}
    assert site.path / CONTESTED in marked
    keep_both(site.path)
    assert type_lines(site.path, commands(site.path, "git grep"), history, False) == ""

    assert (site.path / "TEMPLATE_VERSION").read_text() == f"django-gunicorn-supervisor {NEXT}\n"
    assert (site.path / ".env").read_text() == settings
    assert (site.path / "var/mine").read_text() == "mine"
    secret = dict(line.split("=", 1) for line in settings.splitlines() if "=" in line)["SECRET_KEY"]
    assert secret not in (site.path / ".cruft.json").read_text()
    # What differs from a new site is what the owner has written.
    (folder / "new").mkdir()
    new = make(history, "HEAD", folder / "new", **answers)
    others = " ".join(f"--exclude={name}" for name in (".git", "venv", "var", "__pycache__"))
    line = f"diff -r --new-file {others} {new} {site.path}"
    diff = type_lines(folder, [line], history, check=False)
    assert not re.search("^< ", diff, re.MULTILINE), diff
    for mine in (SETTING, "[program:mine]", RULE, "About us", "def about", "class Basket"):
        assert f"> {mine.strip()}" in diff, diff

    # The code is the same in both languages: one updates it without cruft, too, one runs it.
    if not runs:
        update_by_hand(by_hand, commands(site.path, "cookiecutter "), history, state, **answers)
        line = f"diff -r {others} --exclude=.cruft.json --exclude=.env {by_hand} {site.path}"
        type_lines(folder, [line], history)
        return
    if state == "before-accounts":
        done = site.run("./bootstrap.sh", env=WITH_UV, check=False)
        assert done.returncode == 1
        assert "(accounts.E001)" in done.stderr
        move_users(site)
    site.run("./bootstrap.sh", env=WITH_UV)
    site.python("manage.py", "test")


def test_what_was_moved_or_deleted_gets_its_change_or_is_named(history: Path, folder: Path) -> None:
    """Without cruft, which passes it over."""
    answers = {"language": "en", "project_slug": "shop"}
    site = make(history, VERSIONS["before-tasks"], folder, **answers)
    (site / "pages/views").mkdir()
    git(site, "mv", "pages/views.py", "pages/views/__init__.py")
    git(site, "rm", "--quiet", "docs/copies.md")
    with (site / "deploy/nginx/http.conf").open("a") as mine:
        mine.write("# Mine\n")
    commit_all(site)
    new = make(history, "HEAD", folder / "new", **answers)
    lines = commands(new, "cookiecutter ")
    update_by_hand(site, lines, history, "before-tasks", **answers)
    assert (site / "pages/views/__init__.py").read_text() == (new / "pages/views.py").read_text()
    assert "DU docs/copies.md\n" in git(site, "status", "--short")
    assert (site / "deploy/nginx/http.conf").read_text().endswith("# Mine\n")


OLD_USERS = """
from django.contrib.auth.models import Group, Permission, User
zoe = User.objects.create_user("zoe", password="I like gunicorns")
zoe.groups.add(Group.objects.create(name="editors"))
zoe.user_permissions.add(Permission.objects.get(codename="change_user"))
"""
NEW_USERS = """
from django.contrib.auth import authenticate
from accounts.models import User
zoe = authenticate(username="zoe", password="I like gunicorns")
ada = User.objects.create_user("ada")
print(zoe.groups.get(), zoe.get_all_permissions(), ada.pk - zoe.pk)
"""


def test_users_move_in_postgresql(
    bake: Callable[..., Project], made_venv: Path, postgresql: Cluster
) -> None:
    """No version made such a site without a user model of its own; an owner may have changed an older one."""
    site = bake(database="postgresql", project_slug="shop", web_interface="off")
    copy_venv(made_venv, site.path / "venv")
    environment = {**WITH_UV, **postgresql.environment}
    settings = site.path / "shop/settings.py"
    ours = settings.read_text()
    of_users = r'(?m)^    "accounts",\n|^AUTH_USER_MODEL = .*\n'
    assert len(re.findall(of_users, ours)) == 2
    settings.write_text(re.sub(of_users, "", ours))
    site.run("./bootstrap.sh", env=environment)
    site.python("manage.py", "shell", "--no-imports", "-c", OLD_USERS)

    settings.write_text(ours)
    refused = site.run("./bootstrap.sh", check=False)
    assert refused.returncode == 1
    assert "(accounts.E001)" in refused.stderr
    move_users(site)
    said = site.python("manage.py", "shell", "--no-imports", "-c", NEW_USERS).stdout
    assert said == "editors {'accounts.change_user'} 1\n"


def test_users_move_once_and_the_release_loses_no_request(
    new_server: Callable[..., Server], history: Path
) -> None:
    """As UPGRADING.md says; until then the new code is refused, and the old one serves."""
    server = new_server()
    answers = {
        "language": "en",
        "project_slug": "shop",
        "bind": f"127.0.0.1:{server.port}",
        "web_interface": f"127.0.0.1:{server.web_port}",
    }
    commit = VERSIONS["before-accounts"]
    made = make(history, commit, server.code.parent / "old", **answers)
    shutil.rmtree(server.code)
    made.rename(server.code)
    edit(server.code)
    link(server.code, history, commit, **answers)
    server.release()
    server.start()
    manage = ("current/venv/bin/python", "current/manage.py")
    password = {**server.environment, "DJANGO_SUPERUSER_PASSWORD": "I like gunicorns"}
    user = ("--no-input", "--username=zoe", "--email=zoe@example.com")
    server.run(*manage, "createsuperuser", *user, env=password)
    server.run("sh", "-c", "mkdir -p var/media && echo mine >var/media/photo.jpg")
    settings = (server.path / ".env").read_text()

    update(server.code, history)
    keep_both(server.code)
    commit_all(server.code)
    before = server.current
    refused = server.release(check=False)
    assert refused.returncode == 1
    assert "(accounts.E001)" in refused.stderr and "UPGRADING.md" in refused.stderr
    assert f"{before} serves as before." in refused.stderr
    assert server.get("/about/").text == "About us\n"

    move = upgrading()
    assert (move.on_server[0], move.on_server[2:]) == (
        "sudo deploy/backup.sh",
        ["sudo deploy/release.sh"],
    )
    script = server.code.parent / "move_users.py"
    script.write_text(move.script)
    line = move.on_server[1].replace("sudo deploy/manage.sh", " ".join(manage))
    server.run("sh", "-c", line.replace("move_users.py", str(script)))
    with visitors(server.port, rest=0.1) as visits:
        server.release()
    assert visits.failures == {}
    server.require_whole()
    assert server.get("/about/").text == "About us\n"
    ask = (
        "from django.contrib.auth import authenticate;"
        "print(authenticate(username='zoe', password='I like gunicorns').is_superuser)"
    )
    assert server.run(*manage, "shell", "--no-imports", "-c", ask).stdout == "True\n"
    assert (server.path / "var/media/photo.jpg").read_text() == "mine\n"
    assert (server.path / ".env").read_text() == settings
