"""script/audit, with a PyPI of the test's own."""

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import audit
import pytest
from support.ports import free_port

WEAK: dict[str, object] = {
    "id": "PYSEC-2026-1",
    "aliases": ["CVE-2026-1"],
    "fixed_in": ["1.1", "2.0"],
    "withdrawn": None,
}


@pytest.fixture
def pypi(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of its answers."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        address = f"http://127.0.0.1:{server.server_port}/{{name}}/{{version}}/json"
        monkeypatch.setattr(audit, "ADDRESS", address)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder
        server.shutdown()


def answers(pypi: Path, name: str, *weaknesses: dict[str, object]) -> None:
    folder = pypi / name / "1.0"
    folder.mkdir(parents=True)
    (folder / "json").write_text(json.dumps({"info": {}, "vulnerabilities": weaknesses}))


def report(*names: str) -> list[str]:
    return audit.report(audit.ask(audit.Package(name, "1.0")) for name in names)


def test_every_line_of_every_lock_is_asked_for() -> None:
    assert len(audit.locks()) == 5
    for lock in audit.locks():
        text = lock.read_text()
        assert len(audit.locked(text)) == text.count("==") - text.count(" == ") > 0, lock


def test_weaknesses_are_named_with_their_remedy(pypi: Path) -> None:
    answers(pypi, "good")
    answers(pypi, "withdrawn", {**WEAK, "withdrawn": "2026-01-01T00:00:00Z"})
    answers(pypi, "weak", WEAK)
    assert report("good", "withdrawn") == ["No package of the locks has a known weakness."]
    assert report("good", "weak") == ["weak 1.0 has PYSEC-2026-1, CVE-2026-1: mended in 1.1, 2.0"]


def test_what_could_not_be_asked_for_is_no_pass(
    pypi: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(pypi, "good")
    text = "PyPI could not be asked for 1 packages, which may have weaknesses:"
    assert report("good", "gone") == [f"{text} gone 1.0 (HTTP Error 404: File not found)"]
    nobody = f"http://127.0.0.1:{free_port()}/{{name}}/{{version}}"
    monkeypatch.setattr(audit, "ADDRESS", nobody)
    with pytest.raises(SystemExit) as ended:
        audit.main()
    assert ended.value.code
    assert "Connection refused" in capsys.readouterr().out
