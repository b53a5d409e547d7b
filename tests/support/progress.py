"""How long the parts of the tests take, and how far a run has come."""

import time
from collections import Counter, defaultdict
from collections.abc import Sequence

import pytest

# Files that are taken apart by their tests' parameter: a machine each, a language each, and so on.
BY_PARAMETER = ("test_debian", "test_document_commands", "test_life", "test_pythons")
# Seconds of each part in the quick run and in the whole one, as their last lines say on two
# processors; what takes less than three is not here. The longest parts begin first.
SECONDS = {
    "test_fleet": (0, 1059),
    "test_debian[trixie-systemd]": (0, 789),
    "test_debian[bookworm-sysvinit]": (0, 758),
    "test_release": (0, 652),
    "test_debian[bookworm-systemd]": (0, 564),
    "test_tasks": (0, 510),
    "test_bootstrap": (0, 497),
    "test_lesson": (8, 463),
    "test_tasks_release": (0, 406),
    "test_proof": (60, 387),
    "test_servers": (0, 235),
    "test_supervisor_plugin": (0, 233),
    "test_postgresql_data": (0, 221),
    "test_foreign_apps": (0, 209),
    "test_lesson_troubles": (0, 201),
    "test_copies": (0, 198),
    "test_web_interface": (0, 185),
    "test_pages": (0, 185),
    "test_mail": (0, 169),
    "test_no_request_lost": (0, 169),
    "test_init_script": (0, 168),
    "test_document_commands[README.md]": (0, 166),
    "test_updates": (0, 155),
    "test_postgresql": (25, 153),
    "test_trouble": (0, 152),
    "test_uploads": (0, 138),
    "test_busy": (0, 123),
    "test_from_sqlite": (0, 114),
    "test_files": (11, 87),
    "test_life[fr]": (87, 84),
    "test_developing": (0, 83),
    "test_life[en]": (96, 82),
    "test_post_gen": (30, 75),
    "test_demo": (0, 64),
    "test_site": (0, 62),
    "test_running": (44, 48),
    "test_nginx": (0, 45),
    "test_postgresql_bootstrap": (0, 38),
    "test_lesson_postgresql": (0, 37),
    "test_document_commands[CONTRIBUTING.md]": (0, 34),
    "test_dot_env": (0, 23),
    "test_pythons[3.10]": (0, 21),
    "test_source": (3, 21),
    "test_make_venv": (0, 20),
    "test_pythons[3.11]": (0, 19),
    "test_pythons[3.12]": (0, 18),
    "test_pythons[3.13]": (0, 18),
    "test_refusals": (15, 17),
    "test_document_commands[README.fr.md]": (0, 17),
    "test_supervisord_conf": (14, 16),
    "test_machine": (0, 12),
    "test_private_names": (0, 12),
    "test_packages": (0, 9),
    "test_release_code": (0, 7),
    "test_documents": (4, 7),
    "test_answers": (4, 6),
    "test_supervisor_config": (0, 3),
    "test_quoting": (1, 3),
}


def part_of(nodeid: str) -> str:
    """The tests that one worker runs together: those of a file, or of one parameter there."""
    path, _, test = nodeid.partition("::")
    name = path.rpartition("/")[2].removesuffix(".py")
    return name + "".join(test.partition("[")[1:]) if name in BY_PARAMETER else name


def seconds(part: str, quick: bool) -> int:
    return SECONDS.get(part, (0, 0))[0 if quick else 1]


def minutes(quick: bool) -> str:
    """What a run takes: as many workers as pytest_xdist_auto_num_workers gives share the parts."""
    whole = sum(seconds(part, quick) for part in SECONDS)
    return f"about {max(1, round(whole / 3 / 60))} minutes on two processors"


class Progress:
    """Shows the time expected, each part that is through, and what was left out."""

    def __init__(self, config: pytest.Config, quick: bool, everything: bool) -> None:
        self.config = config
        self.quick = quick
        self.everything = everything
        self.begin = time.monotonic()
        self.left: Counter[str] = Counter()
        self.spent: dict[str, float] = defaultdict(float)

    def pytest_report_header(self) -> list[str]:
        if self.quick:
            return [f"The quick tests: {minutes(True)}. script/test --all runs every test."]
        return [f"Every test: {minutes(False)}."] if self.everything else []

    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Every worker finds the same tests."""
        self.left = Counter(map(part_of, ids))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        part = part_of(report.nodeid)
        self.spent[part] += report.duration
        if report.when != "teardown":
            return
        self.left[part] -= 1
        if self.left[part] == 0:
            elapsed = "{:3}:{:02}".format(*divmod(round(time.monotonic() - self.begin), 60))
            terminal = self.config.pluginmanager.getplugin("terminalreporter")
            terminal.write_line(f"{elapsed}  {part}: {self.spent[part]:.0f} s")

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.quick:
            terminalreporter.write_line(
                f"The slow tests were left out; script/test --all runs them: {minutes(False)}."
            )
