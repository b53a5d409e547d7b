"""Our table of supervisord's keys, against the keys that supervisor's own code asks for."""

from collections import defaultdict
from pathlib import Path

import pytest
from supervisor import options

from local_extensions.supervisor_config import KNOWN_KEYS

EVERY_SECTION = """
[unix_http_server]
file = {0}/ctl.sock
[inet_http_server]
port = 127.0.0.1:9001
[include]
files = {0}/*.none
[supervisord]
[supervisorctl]
[program:a]
command = true
[fcgi-program:b]
command = true
socket = tcp://127.0.0.1:8000
[rpcinterface:c]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[ctlplugin:d]
supervisor.ctl_factory = supervisor.supervisorctl:DefaultControllerPlugin
"""


def test_the_table_is_supervisors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = defaultdict(set)
    get = options.UnhosedConfigParser.get

    def recording_get(
        parser: object, section: str, option: str, *args: object, **kw: object
    ) -> object:
        asked[section.partition(":")[0]].add(option)
        return get(parser, section, option, *args, **kw)

    monkeypatch.setattr(options.UnhosedConfigParser, "get", recording_get)
    config = tmp_path / "supervisord.conf"
    config.write_text(EVERY_SECTION.format(tmp_path))
    options.ServerOptions().realize(["-c", str(config), "-n"])
    options.ClientOptions().realize(["-c", str(config)])

    assert {section: frozenset(keys) for section, keys in asked.items()} == KNOWN_KEYS
