"""deploy/supervisord.conf, by supervisor's own code: it passes over a key that it does not know."""

import configparser
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from supervisor.options import ClientOptions, ServerOptions, UnhosedConfigParser
from support.project import Project


@pytest.fixture(params=["127.0.0.1:9001", "off"])
def config(
    request: pytest.FixtureRequest, bake: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """That of a project with a web interface, and of one without; the plugin can be imported."""
    deploy = bake(web_interface=request.param).path / "deploy"
    if request.param != "off":
        password = "[inet_http_server]\npassword = x\n"
        (deploy / "web_interface.conf").write_text(password)
    monkeypatch.syspath_prepend(deploy)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # the plugin sets its own
    return deploy / "supervisord.conf"


def test_every_key_is_one_that_supervisor_reads(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: dict[str, set[str]] = defaultdict(set)
    get = UnhosedConfigParser.get

    def recording_get(parser: Any, section: str, option: str, *args: Any, **kw: Any) -> Any:
        read[section].add(option)
        return get(parser, section, option, *args, **kw)

    monkeypatch.setattr(UnhosedConfigParser, "get", recording_get)
    for options in (ServerOptions(), ClientOptions()):
        options.realize(["-c", str(config)])

    # Strict: of two equal keys, or sections, supervisor takes one and says nothing.
    parser = configparser.RawConfigParser(strict=True, inline_comment_prefixes=(";", "#"))
    parser.read(config, encoding="utf-8")
    unread = {f"[{name}] {key}" for name in parser for key in set(parser[name]) - read[name]}
    assert unread == set()
    assert len(parser.sections()) > 5
