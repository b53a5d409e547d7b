"""The generated README and the lesson: true in both languages, and each command does what it says."""

import ast
import configparser
import re
import time
from collections.abc import Callable, Iterator
from itertools import chain, pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.documents import Document, typed
from support.lesson import TROUBLES, Elsewhere, lesson_of, reader, serves, shown
from support.postgresql import Cluster
from support.project import Project
from support.template import LANGUAGES

from local_extensions.translations import translate

# How commands begin that are not run here.
ELSEWHERE = {
    "sudo apt install python3-venv curl\n": Elsewhere(
        "root's: what the booted machines have",
        "booted/test_debian.py::test_it_is_installed_and_answers",
    ),
    "sudo apt install python3-venv curl postgresql": Elsewhere(
        "root's", "test_lesson_postgresql.py::test_postgresql_comes_to_know_the_reader"
    ),
    "sudo apt install postgresql\nsudo -u postgres createuser": Elsewhere(
        "root's", "test_lesson_postgresql.py::test_postgresql_comes_to_know_the_reader"
    ),
    "echo DATABASE_URL= >>.env\n": Elsewhere(
        "of a site that began with SQLite", "test_from_sqlite.py::test_at_home"
    ),
    "venv/bin/python manage.py dumpdata --all": Elsewhere(
        "of a site that began with SQLite", "test_from_sqlite.py::test_at_home"
    ),
    "sudo apt install postgresql\necho": Elsewhere(
        "root's", "test_from_sqlite.py::test_on_a_server"
    ),
    "sudo service supervisord stop\n": Elsewhere(
        "of an installed site", "test_from_sqlite.py::test_on_a_server"
    ),
    "sudo apt install redis-server\n": Elsewhere(
        "root's", "test_tasks_release.py::test_a_site_without_tasks_gets_them"
    ),
    "sudo systemctl disable --now redis-server\n": Elsewhere(
        "root's; of Valkey, it is",
        "booted/test_debian.py::test_no_task_is_lost_where_the_machine_ends",
    ),
    "sudo apt install valkey-server\n": Elsewhere(
        "root's", "booted/test_debian.py::test_no_task_is_lost_where_the_machine_ends"
    ),
    "sudo apt install gettext\n": Elsewhere(
        "root's", "test_developing.py::test_makemessages_finds_the_texts_of_the_site_alone"
    ),
    "venv/bin/uv tool run --from cyclonedx-bom": Elsewhere(
        "it downloads 30 packages", "test_developing.py::test_the_packages_of_a_release_are_listed"
    ),
    "git clone": Elsewhere(
        "from another machine",
        "test_developing.py::test_a_second_developer_is_at_work_beside_the_first",
    ),
    "sudo deploy/release.sh": Elsewhere(
        "root's; as its owner, with --into, it is here",
        "booted/test_debian.py::test_a_release_and_its_rollback_lose_no_request",
    ),
    "sudo apt install python3-venv nginx cron": Elsewhere(
        "root's", "booted/test_debian.py::test_it_is_installed_and_answers"
    ),
    "deploy/servers.sh": Elsewhere(
        "to a server", "booted/test_servers.py::test_the_other_commands_of_a_server"
    ),
    "deploy/servers.sh --limit web": Elsewhere(
        "to several servers", "booted/test_fleet.py::test_it_is_installed_from_nothing"
    ),
    "deploy/servers.sh --limit 'all:!NAME' release": Elsewhere(
        "to several servers", "booted/test_fleet.py::test_a_machine_goes_and_comes_back"
    ),
    "sudo deploy/install.sh\n": Elsewhere(
        "root's", "booted/test_debian.py::test_it_is_installed_and_answers"
    ),
    "sudo service supervisord status\n": Elsewhere(
        "of an installed site", "booted/test_debian.py::test_the_service_obeys"
    ),
    "sudo deploy/manage.sh": Elsewhere(
        "root's", "test_copies.py::test_manage_runs_as_the_sites_user"
    ),
    "sudo supervisorctl status\n": Elsewhere(
        "of an installed site", "booted/test_debian.py::test_what_died_is_known"
    ),
    "sudo deploy/backup.sh\n": Elsewhere(
        "root's", "test_copies.py::test_a_copy_is_whole_and_the_site_users_own"
    ),
    "sudo deploy/restore.sh\n": Elsewhere("root's", "test_copies.py::test_a_site_comes_back_whole"),
    "sudo rsync": Elsewhere(
        "to another machine", "booted/test_debian.py::test_it_moves_to_another_server"
    ),
    "sudo supervisorctl stop all": Elsewhere(
        "of an installed site", "booted/test_debian.py::test_it_moves_to_another_server"
    ),
    "deploy/install.sh --service": Elsewhere(
        "root's", "booted/test_debian.py::test_two_sites_do_not_touch_each_other"
    ),
    "deploy/install.sh --uninstall\n": Elsewhere(
        "root's", "booted/test_debian.py::test_uninstall_leaves_nothing"
    ),
    "sudo apt install certbot": Elsewhere(
        "a certificate takes a public name; one of its own is found there",
        "booted/test_debian.py::test_with_a_certificate_it_speaks_https",
    ),
    **dict.fromkeys(
        (
            "cruft update",
            "git grep --line-number",
            "cookiecutter --output-dir before",
        ),
        Elsewhere(
            "with the template of another time",
            "test_updates.py::test_a_site_takes_up_this_version",
        ),
    ),
    "cruft diff\n": Elsewhere(
        "after an update", "booted/test_servers.py::test_a_newer_template_is_taken_up"
    ),
    **dict.fromkeys(
        ("pipx install cruft\n", "cruft create"),
        Elsewhere(
            "with the template in git", "test_updates.py::test_a_site_knows_where_it_comes_from"
        ),
    ),
    "ssh -N": Elsewhere(
        "from another machine", "test_lesson_troubles.py::test_the_web_interface_cannot_be_reached"
    ),
}
# What a site has with one database alone, or with tasks.
OF_SQLITE = {"sudo apt install python3-venv curl\n"}
OF_POSTGRESQL = {
    start for start in ELSEWHERE if "postgresql" in start or "DATABASE_URL" in start
} | {
    "venv/bin/python manage.py dumpdata --all",
    "sudo service supervisord stop\n",
    "deploy/servers.sh --limit web",
    "deploy/servers.sh --limit 'all:!NAME' release",
}
OF_TASKS = {start for start in ELSEWHERE if re.search("(redis|valkey)-server", start)}
# It stays until Ctrl-C.
RUNSERVER = "DEBUG=on venv/bin/python manage.py runserver "
INTERACTIVE = {
    "venv/bin/python manage.py createsuperuser\n": (
        *("reader", "reader@example.com"),
        *["I like gunicorns"] * 2,
    )
}
LACKS = (
    "{file} lacks {name}: add its line, as .env.example has it; a .env that is missing is written by"
    " ./bootstrap.sh."
)
# Messages of the site of which the lesson shows parts.
MESSAGES = (
    (
        "The UNIX socket {path} would have {length} bytes and the system takes {limit}: move the"
        " project to a folder with a shorter path."
    ),
    "This request hangs, and its worker ends: %s",
    (
        "The mails in {folder} have to wait, for EMAIL_URL of {env} leads to no server that takes them"
        " ({reason})."
    ),
    "Failed login from %s as %s",
    "Failed login to the web interface from {address}",
)
# What people read of the app that the lesson writes.
WORDS = {
    "Thank you! We read it, then all can.": "Merci ! Nous le lisons, puis tous le pourront.",
    "This field is required.": "Ce champ est obligatoire.",
    "guestbook entries": "mots du livre d'or",
    "shown to visitors": "visible par les visiteurs",
    "guestbook entry": "mot du livre d'or",
    "Leave a message": "Laisser un mot",
    "Our guestbook": "Notre livre d'or",
    "your message": "votre message",
    "written on": "écrit le",
    "Thank you": "Merci",
    "your name": "votre nom",
    "Hello!": "Bonjour !",
    "A message from": "Un message de",
    "Good day": "Bonjour",
    ">Home<": ">Accueil<",
    "tasks wait, the oldest for": "tâches attendent, la plus ancienne depuis",
    "The broker does not answer:": "Le courtier ne répond pas :",
    "0 waiting, the oldest for 0 s; 0 taken": "0 en attente, au plus depuis 0 s ; 0 en main",
}
# What the prose says of an output.
CLAIMED = {"venv/bin/python manage.py check --deploy\n": "System check identified 4 issues"}


@pytest.fixture(
    scope="module",
    params=[
        {},
        {"web_interface": "off"},
        {"database": "postgresql"},
        {"database": "postgresql", "tasks": "celery"},
    ],
    ids=["web", "no-web", "postgresql", "celery"],
)
def both(request: pytest.FixtureRequest, bake: Callable[..., Project]) -> dict[str, Project]:
    """The same project in both languages."""
    answers = {"project_slug": "lesson", "author_name": "Zoé", **request.param}
    return {language: bake(language=language, **answers) for language in LANGUAGES}


# What it says


def as_the_site_says(text: str) -> str:
    """Code of the English lesson with the site's own messages in French."""
    for english, french in WORDS.items():
        text = text.replace(english, french)
    for english in ("%s: restarting (%d of %d)", "%s: running"):
        message = re.escape(english).replace("%s", r"(\S+)").replace("%d", r"(\d+)")
        french = translate(english, "fr").replace("%d", "%s")
        for found in re.finditer(message, text):
            text = text.replace(found[0], french % found.groups())
    english, french = (each.partition(":")[0].strip() for each in (LACKS, translate(LACKS, "fr")))
    lacking = {"file": "…/.env", "name": "SECRET_KEY"}
    text = text.replace(english.format_map(lacking), french.format_map(lacking))
    for message in MESSAGES:
        parts = (re.split(r"%s|\{\w+\}|,", each) for each in (message, translate(message, "fr")))
        for english, french in zip(*parts, strict=True):
            if " " in english.strip():
                text = text.replace(english.strip(), french.strip())
    return text


def test_both_languages_say_the_same(both: dict[str, Project]) -> None:
    english, french = (lesson_of(both[language]) for language in LANGUAGES)
    assert list(french) == list(english)
    for name, document in french.items():
        document.check_translation(english[name], as_the_site_says)


def test_french_is_written_with_french_typography(both: dict[str, Project]) -> None:
    for document in lesson_of(both["fr"]).values():
        document.check_typography()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_readme_can_be_read_at_one_sitting(both: dict[str, Project], language: str) -> None:
    assert len(lesson_of(both[language])["README.md"].text.splitlines()) <= 200


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_readme_lists_each_chapter_which_leads_to_the_next(
    both: dict[str, Project], language: str
) -> None:
    project = both[language]
    lesson = lesson_of(project)
    assert {project.path / name for name in lesson} == {*project.path.rglob("*.md")}
    for document in lesson.values():
        levels = [section.level for section in document.sections]
        assert (levels[0], levels.count("h1")) == ("h1", 1)
    readme, *chapters = lesson
    for chapter, following in pairwise([*chapters, readme]):
        assert f"[{lesson[chapter].sections[0].title}]({chapter})" in lesson[readme].text
        last_link = lesson[chapter].links[-1]
        assert (
            (project.path / chapter).parent.joinpath(last_link).samefile(project.path / following)
        )


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_link_leads_somewhere(both: dict[str, Project], language: str) -> None:
    project = both[language]
    for name, document in lesson_of(project).items():
        for link in document.links:
            here = urlsplit(link).hostname == "127.0.0.1"
            assert here or (project.path / name).parent.joinpath(link).is_file(), (name, link)


@pytest.mark.parametrize("language", LANGUAGES)
def test_quoted_files_are_the_files(both: dict[str, Project], language: str) -> None:
    deploy = both[language].path / "deploy"
    files = {
        "ini": (deploy / "supervisord.conf").read_text().splitlines(),
        "nginx": [line.strip() for line in (deploy / "nginx" / "site.conf").open()],
    }
    quoted = [
        (kind, line)
        for document in lesson_of(both[language]).values()
        for section in document.sections
        for kind, text in section.blocks
        if kind in files
        for line in text.splitlines()
    ]
    assert [(kind, line) for kind, line in quoted if line not in files[kind]] == []
    # Nothing of supervisord.conf is left out.
    settings = [line for line in files["ini"] if line and not line.startswith(";")]
    assert {line for kind, line in quoted if kind == "ini" and line} == set(settings)


def test_each_setting_has_its_reason(both: dict[str, Project]) -> None:
    """Nothing of supervisord.conf and gunicorn.conf.py is left out."""
    project = both["en"]
    chapter = lesson_of(project)["docs/supervisord.md"]
    config = configparser.RawConfigParser()
    config.read(project.path / "deploy" / "supervisord.conf")
    gunicorn = ast.parse((project.path / "deploy" / "gunicorn.conf.py").read_text())
    hooks = [node for node in gunicorn.body if isinstance(node, ast.FunctionDef)]
    ours = {hook.name for hook in hooks} | {
        node.id
        for line in gunicorn.body
        if line not in hooks
        for node in ast.walk(line)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }

    titles = [section.title for section in chapter.sections]
    part = slice(
        titles.index("How supervisorctl reaches it"), titles.index("gunicorn's own settings")
    )
    named = {span for section in chapter.sections[part] for span in section.spans}
    assert {option for section in config.sections() for option in config[section]} <= named
    table = {
        name for name in chapter.section("gunicorn's own settings").spans if name.isidentifier()
    }
    assert table == ours


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_it_names_exists(both: dict[str, Project], language: str) -> None:
    project = both[language]
    written = "\n".join(
        (project.path / name).read_text()
        for name in ("lesson/settings.py", ".env.example", "deploy/gunicorn.conf.py")
    )
    made_later = {"venv", ".env", "releases", "var", "web_interface.conf", "wheels", "photos"}
    made_later |= {"servers.env", "guestbook", "local.conf", "locale", "middleware.py", "where.py"}
    spans = [span for document in lesson_of(project).values() for span in document.spans]
    paths = {
        found
        for span in spans
        for found in re.findall(
            r"(?:^|\s)((?:\./)?[\w.]+/[\w./-]*|[\w]+\.(?:sh|txt|py|conf))", span
        )
    }
    assert len(paths) > 15
    for path in paths:
        name = path.removeprefix("./").rstrip("/")
        there = (project.path / name).exists() or ("/" not in name and [*project.path.rglob(name)])
        assert {*Path(name).parts} & made_later or there, path
    names = {found for span in spans for found in re.findall(r"\b[A-Z]{4,}[A-Z_]*\b", span)}
    names -= {"RUNNING", "FATAL", "QUIT", "EACCES", "DISCOUNT", "PAGES"}
    names -= {"TEMPLATE_VERSION", "UPGRADING", "CHANGELOG"}
    names -= {"ALTER", "TABLE", "DROP", "COLUMN", "INDEX", "INVALID", "CONCURRENTLY", "CREATEDB"}
    names -= {"DISABLE_SERVER_SIDE_CURSORS"}
    assert "ALLOWED_HOSTS" in names
    assert [name for name in names if name not in written] == []


# What it does


def lines_of(document: Document) -> Iterator[tuple[str, str, str]]:
    """The commands, and what the document shows of their output; the files between them."""
    blocks = [*typed(document.text), ("", "")]
    for (kind, text), (following, sample) in pairwise(blocks):
        if kind != "text":
            yield kind, text, sample if following == "text" else ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "answers",
    [
        {"language": "en"},
        {"language": "fr", "web_interface": "off", "database": "postgresql", "tasks": "celery"},
    ],
    ids=["en, web, SQLite", "fr, no web, PostgreSQL, Celery"],
)
def test_the_commands_run_in_order_as_written(
    answers: dict[str, str],
    bake: Callable[..., Project],
    short_folder: Path,
    postgresql: Cluster,
) -> None:
    listed = set()
    with reader(bake, short_folder, postgresql, **answers) as site:
        lesson = lesson_of(site)
        # test_lesson_troubles.py makes the troubles happen.
        del lesson[TROUBLES]
        for kind, block, sample in chain(*map(lines_of, lesson.values())):
            if kind != "sh":
                site.write(kind, block)
                continue
            elsewhere = [start for start in ELSEWHERE if block.startswith(start)]
            listed.update(elsewhere)
            if elsewhere:
                continue
            if block in INTERACTIVE:
                site.answer(block.strip(), INTERACTIVE[block])
                continue
            if block.startswith(RUNSERVER):
                site.see_and_end(block.strip())
                continue
            output = site.type(block, check=not sample)
            assert CLAIMED.get(block, "") in output
            deadline = time.monotonic() + 60
            while sample and not shown(sample, output):
                # A machine slower than the reader's: the last command is asked again.
                assert time.monotonic() < deadline, (block, output)
                output = site.type(block.splitlines()[-1], check=False)
        assert serves(site)
        assert {"en": "<h1>Our guestbook</h1>", "fr": "<h1>Notre livre d'or</h1>"}[
            answers["language"]
        ] in site.get("/guestbook/").text
    others = {"ssh -N"} if "web_interface" in answers else set()
    others |= OF_SQLITE if "database" in answers else OF_POSTGRESQL
    others |= set() if "tasks" in answers else OF_TASKS
    assert listed == ELSEWHERE.keys() - others


@pytest.mark.parametrize("elsewhere", ELSEWHERE.values(), ids=ELSEWHERE)
def test_what_does_not_run_here_is_tested_elsewhere(elsewhere: Elsewhere) -> None:
    elsewhere.check()
