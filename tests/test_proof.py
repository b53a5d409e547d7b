"""Accepted answers give a project whose every file reads the very values back; others give none.

Hypothesis makes the answers: 300 projects in the ordinary run, 10,000 with `--thorough`.
"""

import ast
import importlib
import re
import shutil
import subprocess
import sys
import tempfile
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import getaddresses
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cookiecutter.main import cookiecutter
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.provisional import domains
from markdown_it import MarkdownIt
from supervisor.options import ServerOptions
from support.commands import require
from support.template import read_once

from local_extensions.answers import EXAMPLES, RULES, problems
from local_extensions.quoting import idna_host
from local_extensions.suggestions import is_good

Bake = Callable[[dict[str, str]], Path]

texts = st.text(max_size=90) | st.text(
    st.sampled_from("'\"\\ `$é{}%#&;*_[]<>!|~-+.1:@"), max_size=20
)
addresses = st.builds(
    "{}:{}".format,
    st.ip_addresses(v=4) | st.sampled_from(["localhost", "0.0.0.0"]),
    st.integers(0, 70000),
)
private = st.builds("{}:{}".format, st.ip_addresses(network="10.0.0.0/8"), st.integers(1024, 65535))
# The whole domain of each answer, and some of what lies around it.
AROUND: dict[str, st.SearchStrategy[str]] = {
    "language": st.sampled_from(["en", "fr"]),
    "project_name": texts,
    "project_slug": st.from_regex(r"[a-z][a-z0-9_]{0,39}", fullmatch=True),
    "description": texts | st.text(max_size=210),
    "author_name": texts,
    "email": st.emails(),
    "domain_name": domains() | st.sampled_from(["localhost", "été.example.fr", "中文.example"]),
    "time_zone": st.sampled_from(sorted(zoneinfo.available_timezones())),
    "database": st.sampled_from(["sqlite", "postgresql"]),
    "tasks": st.sampled_from(["none", "celery"]),
    "bind": addresses,
    "web_interface": private | addresses | st.just("off"),
    "install_dir": st.from_regex(
        r"/(srv|opt|home|etc|usr/local)(/[A-Za-z0-9._-]{1,12}){1,5}", fullmatch=True
    ),
    "run_user": st.from_regex(r"[a-z_][a-z0-9_-]{0,31}", fullmatch=True),
}


def good(name: str) -> st.SearchStrategy[str]:
    """Values that the answer's own rule accepts."""
    return AROUND[name].filter(lambda value: is_good(name, value))


good_answers: st.SearchStrategy[dict[str, str]] = st.fixed_dictionaries(
    {name: good(name) for name in AROUND}
).filter(lambda answers: not problems(answers))


@pytest.fixture(scope="module")
def output(short_folder: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=short_folder))


@pytest.fixture(scope="module")
def generate(template: Path, output: Path, _cookiecutter_config_file: Path) -> Bake:
    """Bakes in this process, without hooks: the rules hold all the same."""

    def generate(answers: dict[str, str]) -> Path:
        with read_once():
            path = cookiecutter(
                str(template),
                no_input=True,
                extra_context=answers,
                output_dir=str(output),
                config_file=str(_cookiecutter_config_file),
                accept_hooks=False,
            )
        return Path(path)

    return generate


def assigned(source: str) -> dict[str, Any]:
    """The constants that a module assigns to names."""
    found: dict[str, Any] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign):
            try:
                value = ast.literal_eval(node.value)
            except ValueError:
                continue
            found |= {target.id: value for target in node.targets if isinstance(target, ast.Name)}
    return found


@cache
def require_python(source: bytes) -> None:
    """Most modules are the same in every project: once is enough."""
    compile(source, "a module", "exec")


def check_python(project: Path, answers: dict[str, str]) -> None:
    for module in project.rglob("*.py"):
        require_python(module.read_bytes())
    settings = assigned((project / answers["project_slug"] / "settings.py").read_text("utf-8"))
    assert settings["SITE_NAME"] == answers["project_name"]
    assert settings["SITE_DESCRIPTION"] == answers["description"]
    assert settings["LANGUAGE_CODE"] == answers["language"]
    assert settings["TIME_ZONE"] == answers["time_zone"]
    assert settings["ROOT_URLCONF"] == f"{answers['project_slug']}.urls"


def check_supervisor(project: Path, answers: dict[str, str]) -> None:
    if answers["web_interface"] != "off":
        password = "[inet_http_server]\npassword = x\n"
        (project / "deploy" / "web_interface.conf").write_text(password)
    options = ServerOptions()
    options.realize(["-c", str(project / "deploy" / "supervisord.conf"), "-n"])
    groups = {group.name: group for group in options.process_group_configs}
    group = groups.pop(f"gu-{answers['project_slug']}")
    of_tasks = {"redis", "worker", "beat"} if answers["tasks"] == "celery" else set()
    assert {*groups} == {"alerts", *of_tasks}
    assert group.socket_config.url == f"tcp://{answers['bind']}"
    servers = {server["section"]: server for server in options.server_configs}
    if answers["web_interface"] == "off":
        assert set(servers) == {"unix_http_server"}
    else:
        web = servers["inet_http_server"]
        assert f"{web['host']}:{web['port']}" == answers["web_interface"]


def check_shell(texts: dict[str, str], answers: dict[str, str]) -> None:
    script = texts["init.d/supervisord"]
    subprocess.run(["/bin/sh", "-n"], input=script, text=True, check=True)
    lines = re.findall(r"^(?:DIR|RUN_USER)=.*", script, re.MULTILINE)
    show = "\n".join([*lines, 'printf "%s|%s" "$DIR" "$RUN_USER"'])
    shown = subprocess.check_output(["/bin/sh", "-c", show], text=True)
    assert shown == f"{answers['install_dir']}|{answers['run_user']}"


# The files of the service, and the names that nginx's include.
NGINX_FILES = {
    "nginx/https.conf": "https.conf",
    "nginx/site.conf": "supervisord-site.conf",
    "nginx/headers.conf": "supervisord-headers.conf",
    "nginx/tls.conf": "supervisord-tls.conf",
    "nginx/upstream.conf": "supervisord-upstream.conf",
}
SOURCES = (*NGINX_FILES, "init.d/supervisord", "systemd/supervisord.service")
NGINX = """
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    # As Debian's: with a site for the requests to no site
    server {{ listen 28080 default_server; server_name _; }}
    include {folder}/*/https.conf;
}}
"""


def fill(project: Path) -> dict[str, str]:
    """SOURCES with their words filled in: by the project's own code, in this process."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "server"]:
        del sys.modules[name]  # of the project before
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", True)
        patch.syspath_prepend(project / "deploy")
        service = importlib.import_module("server.service")
        assert Path(service.__file__ or "").is_relative_to(project)
        return {source: service.filled(source, "supervisord") for source in SOURCES}


@dataclass
class Batch:
    """Files of many projects, for one nginx and one systemd to read."""

    folder: Path
    expected: dict[str, str] = field(default_factory=dict)

    def add(self, texts: dict[str, str], answers: dict[str, str]) -> None:
        number = str(len(self.expected))
        domain = idna_host(answers["domain_name"])
        (self.folder / number).mkdir()
        for source, name in NGINX_FILES.items():
            text = texts[source]
            for theirs, ours in {
                "snippets/": f"{self.folder}/{number}/",
                f"/etc/letsencrypt/live/{domain}/": f"{self.folder}/",
                "/var/log/nginx/": f"{self.folder}/",
                # As the services' names on one machine
                "upstream supervisord ": f"upstream site-{number} ",
                "http://supervisord;": f"http://site-{number};",
                "zone=supervisord-": f"zone=site-{number}-",
                " 80;": " 28080;",
                "]:80;": "]:28080;",
                "443 ssl;": "28443 ssl;",
            }.items():
                text = text.replace(theirs, ours)
            (self.folder / number / name).write_text(text, "utf-8")
        unit = texts["systemd/supervisord.service"]
        (self.folder / f"{number}.service").write_text(unit, "utf-8")
        self.expected[number] = f"{answers['install_dir']}/current/venv/bin"

    def check_nginx(self) -> None:
        certificate = "req -x509 -newkey rsa:2048 -nodes -subj /CN=x -keyout privkey.pem"
        command = [require("openssl"), *certificate.split(), "-out", "fullchain.pem"]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)
        config = self.folder / "nginx.conf"
        config.write_text(NGINX.format(folder=self.folder))
        command = [require("nginx"), "-t", "-q", "-p", str(self.folder), "-c", str(config)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def check_systemd(self) -> None:
        """It finds nothing to say but that the sites are not installed here."""
        sites = list(self.expected.items())
        # Its time grows with the square of their number.
        for some in (sites[start : start + 200] for start in range(0, len(sites), 200)):
            units = [str(self.folder / f"{number}.service") for number, _ in some]
            command = [require("systemd-analyze"), "verify", *units]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert sorted(done.stderr.splitlines()) == sorted(
                f"{number}.service: Command {path}/{name} is not executable: No such file or directory"
                for number, path in some
                for name in ("supervisord", "python")
            )


def check_env(project: Path, answers: dict[str, str]) -> None:
    text = (project / ".env.example").read_text("utf-8")
    env = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    assert env["ALLOWED_HOSTS"].startswith(f"{idna_host(answers['domain_name'])},")
    assert getaddresses([env["ADMINS"]]) == [("", answers["email"])]
    assert env["DEFAULT_FROM_EMAIL"] == answers["email"]
    assert ("DATABASE_URL" in env) == (answers["database"] == "postgresql")
    assert ("BROKER_URL" in env) == (answers["tasks"] == "celery")


def check_readme(project: Path, answers: dict[str, str]) -> None:
    tokens = MarkdownIt().parse((project / "README.md").read_text("utf-8"))
    written = [
        "".join(child.content for child in token.children or ())
        for token in tokens
        if token.type == "inline"
    ]
    assert [token.type for token in tokens[:4:3]] == ["heading_open", "paragraph_open"]
    assert written[:2] == [answers["project_name"], answers["description"]]
    assert f"({answers['email']})." in written[-1]
    assert answers["author_name"] in written[-1]


@pytest.fixture(scope="module", autouse=True)
def _plugin_of_supervisord(generate: Bake) -> None:
    """Makes deploy/supervisor_plugin importable, as bootstrap.sh does in a venv."""
    deploy = generate({}) / "deploy"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "excepthook", sys.excepthook)  # the plugin sets its own
        patch.syspath_prepend(deploy)
        importlib.import_module("supervisor_plugin.server")


def test_accepted_answers_are_read_back(generate: Bake, short_folder: Path) -> None:
    batch = Batch(Path(tempfile.mkdtemp(dir=short_folder)))

    @given(answers=good_answers)
    @example(answers={**EXAMPLES, "domain_name": "a." * 118 + "fr"})
    def check(answers: dict[str, str]) -> None:
        project = generate(answers)
        try:
            check_python(project, answers)
            check_supervisor(project, answers)
            texts = fill(project)
            check_shell(texts, answers)
            check_env(project, answers)
            check_readme(project, answers)
            batch.add(texts, answers)
        finally:
            shutil.rmtree(project)

    check()
    batch.check_nginx()
    batch.check_systemd()


@given(answers=good_answers, name=st.sampled_from(list(RULES)), data=st.data())
def test_refused_answers_leave_nothing(
    generate: Bake, output: Path, answers: dict[str, str], name: str, data: st.DataObject
) -> None:
    assume(
        name not in ("language", "database", "tasks")
    )  # Cookiecutter itself refuses what is none of the choices
    value = data.draw(AROUND[name] | st.text() | st.sampled_from(["", "\0", "../x", "root", "/"]))
    assume(not re.search(r"\{[{%#]", value))  # Cookiecutter renders those before we see them
    before = set(output.iterdir())
    wrong = {**answers, name: value}
    assume(problems(wrong))
    with pytest.raises(SystemExit):
        generate(wrong)
    assert set(output.iterdir()) == before
