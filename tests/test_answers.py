"""The rules: every answer is refused with a clear message, or gives a project that works."""

import json
from collections.abc import Callable

import pytest
from support.project import Project
from support.template import ROOT

from local_extensions.answers import EXAMPLES, RULES, Refused, problems

# Answer → what its rule accepts, what it refuses.
VALUES: dict[str, tuple[list[str], list[str]]] = {
    "language": (["en", "fr"], ["de", "FR", ""]),
    "project_name": (
        [
            "x",
            'L\'Été à Paris – 100 % "sûr"',
            "O'Brien",
            "😀👨‍👩‍👧",
            "مرحبا",
            "中文",
            "a\\b",
            "{x}",
            "é" * 80,
        ],
        [
            "",
            " ",
            " x",
            "x ",
            "a\nb",
            "a\0b",
            "a\u202eb",
            "a\u200bb",
            "{{ x }}",
            "{% x",
            "{#",
            "é" * 81,
        ],
    ),
    "project_slug": (
        ["a", "mon_site", "blog2", "a" * 40],
        ["", "2blog", "_a", "Blog", "mon-site", "été", "class", "match", "none/..", "a" * 41]
        + [
            "json",
            "test",
            "site",
            "django",
            "gunicorn",
            "supervisor",
            "pages",
            "server",
            "venv",
            "con",
            "lpt1",
        ],
    ),
    "description": (["x" * 200, 'He said "no"'], ["", "x" * 201, "a\tb"]),
    "author_name": (["Zoé O'Brien", 'Ada "the first" Lovelace'], ["", "a\rb"]),
    "email": (
        ["zoe@example.com", "o'brien+web@example.co.uk"],
        ["", "zoe", "zoe@", "@example.com", "a@b@c.fr", "a b@c.fr", "Zoé <zoe@c.fr>", "a@c.fr\n"],
    ),
    "domain_name": (
        [
            "example.com",
            "www.example.com",
            "localhost",
            "xn--t-9fab.fr",
            "été.fr",
            "EXAMPLE.com",
            "1.fr",
            "a." * 118 + "fr",
        ],
        [
            "",
            "http://a.fr",
            "a.fr:80",
            "a.fr/x",
            "*.a.fr",
            "a_b.fr",
            "-a.fr",
            "a..fr",
            "a.fr.",
        ]
        + ["10.0.0.1", "a" * 64 + ".fr", "b" + "a." * 118 + "fr", "a.fr\n"],
    ),
    "time_zone": (
        ["UTC", "Europe/Paris", "America/Argentina/Buenos_Aires", "Etc/GMT+1"],
        [
            "",
            "Paris",
            "europe",
            "Europe",
            "../UTC",
            "/etc/localtime",
            "UTC\n",
            "GMT+25",
            "tzdata.zi",
            "US/Pacific",
            "Asia/Calcutta",
            "GMT",
            "EST5EDT",
            "posixrules",
            "localtime",
            "Factory",
        ],
    ),
    "database": (["sqlite", "postgresql"], ["", "SQLite", "postgres", "mysql"]),
    "tasks": (["none", "celery"], ["", "None", "redis", "rq"]),
    "bind": (
        ["127.0.0.1:8000", "localhost:8000", "0.0.0.0:8000", "192.168.1.5:65535", "8.8.8.8:1024"],
        [
            "",
            "8000",
            ":8000",
            "127.0.0.1",
            "127.0.0.1:",
            "127.0.0.1:80",
            "127.0.0.1:65536",
            "[::1]:8000",
        ]
        + ["::1:8000", "300.0.0.1:8000", "127.1:8000", "01.2.3.4:8000", "224.0.0.1:8000", "*:8000"]
        + ["127.0.0.1:٨٠٠٠", "127.0.0.1:8000\n", "255.255.255.255:8000", "example.com:8000", "off"],
    ),
    "web_interface": (
        [
            "127.0.0.1:9001",
            "localhost:9001",
            "10.1.2.3:9001",
            "192.168.0.1:9001",
            "100.64.0.1:9001",
            "off",
        ],
        [
            "",
            "on",
            "0.0.0.0:9001",
            "8.8.8.8:9001",
            "172.32.0.1:9001",
            "169.254.1.1:9001",
            "[::1]:9001",
        ]
        + ["[::ffff:8.8.8.8]:9001", "9001", "127.0.0.1:22", "192.0.2.1:9001"],
    ),
    "install_dir": (
        [
            "/srv/mon_site",
            "/home/zoe/site",
            "/opt/x",
            "/usr/local/x",
            "/var/www/x",
            "/srv/" + "a" * 55,
        ],
        [
            "",
            "srv/x",
            "/",
            "/srv",
            "/srv/",
            "/srv/x/",
            "/srv/../etc",
            "/srv//x",
            "/etc/x",
            "/usr/x",
            "/bin/x",
        ]
        + ["/srv/a b", "/srv/é", "/srv/$x", "//srv/x", "/root/x", "/srv/" + "a" * 56, "/srv/x\n"],
    ),
    "run_user": (
        ["www-data", "site_1", "_x", "a" * 31],
        ["", "root", "0", "1000", "Zoe", "a b", "a" * 32, "www-data\n"],
    ),
}
CASES = [
    pytest.param(answer, value, good, id=f"{answer}={value[:20]!a}")
    for answer, lists in VALUES.items()
    for good, values in zip((True, False), lists, strict=True)
    for value in values
]


@pytest.mark.parametrize(("answer", "value", "good"), CASES)
def test_rule(answer: str, value: str, good: bool) -> None:
    if good:
        RULES[answer](value)
    else:
        with pytest.raises(Refused):
            RULES[answer](value)


def test_every_answer_has_a_rule_and_a_good_example() -> None:
    questions = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
    names = [name for name in questions if not name.startswith("_")]
    assert list(RULES) == list(EXAMPLES) == list(VALUES) == names
    assert len(names) <= 14
    assert set(questions["__prompts__"]) == set(names)
    assert problems(EXAMPLES) == []


@pytest.mark.parametrize(
    ("bind", "web", "good"),
    [
        ("127.0.0.1:8000", "127.0.0.1:8001", True),
        ("127.0.0.1:8000", "10.0.0.1:8000", True),
        ("127.0.0.1:8000", "off", True),
        ("127.0.0.1:8000", "127.0.0.1:8000", False),
        ("localhost:8000", "127.0.0.1:8000", False),
        ("0.0.0.0:8000", "127.0.0.1:8000", False),
    ],
)
def test_the_site_and_the_web_interface_need_two_ports(bind: str, web: str, good: bool) -> None:
    found = problems({**EXAMPLES, "bind": bind, "web_interface": web})
    assert [problem.answer for problem in found] == ([] if good else ["web_interface"])


def test_a_project_name_gives_a_slug_that_is_accepted(bake: Callable[..., Project]) -> None:
    expected = {
        "L'Été à Paris": "l_ete_a_paris",
        "Test": "test_site",
        "2 blogs": "site_2_blogs",
        "😀": "site_",
    }
    assert {name: bake(project_name=name).path.name for name in expected} == expected
