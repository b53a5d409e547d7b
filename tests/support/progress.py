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
    "test_fleet": (0, 700),
    "test_release": (0, 699),
    "test_lesson": (8, 690),
    "test_debian[bookworm-systemd]": (0, 573),
    "test_debian[bookworm-sysvinit]": (0, 559),
    "test_tasks": (0, 550),
    "test_debian[trixie-systemd]": (0, 525),
    "test_tasks_release": (0, 350),
    "test_bootstrap": (0, 338),
    "test_proof": (60, 210),
    "test_lesson_troubles": (0, 199),
    "test_servers": (0, 260),
    "test_postgresql_data": (0, 197),
    "test_supervisor_plugin": (0, 197),
    "test_mail": (0, 183),
    "test_no_request_lost": (0, 171),
    "test_document_commands[README.md]": (0, 156),
    "test_foreign_apps": (0, 151),
    "test_trouble": (0, 144),
    "test_init_script": (0, 143),
    "test_web_interface": (0, 139),
    "test_copies": (0, 132),
    "test_pages": (0, 122),
    "test_postgresql": (25, 106),
    "test_uploads": (0, 98),
    "test_busy": (0, 97),
    "test_developing": (0, 83),
    "test_from_sqlite": (0, 83),
    "test_updates": (0, 150),
    "test_life[en]": (96, 76),
    "test_life[fr]": (87, 69),
    "test_demo": (0, 50),
    "test_site": (0, 43),
    "test_files": (11, 42),
    "test_post_gen": (30, 40),
    "test_nginx": (0, 39),
    "test_running": (44, 33),
    "test_postgresql_bootstrap": (0, 31),
    "test_lesson_postgresql": (0, 29),
    "test_dot_env": (0, 26),
    "test_make_venv": (0, 26),
    "test_document_commands[CONTRIBUTING.md]": (0, 23),
    "test_pythons[3.10]": (0, 19),
    "test_pythons[3.12]": (0, 18),
    "test_refusals": (15, 17),
    "test_source": (3, 16),
    "test_pythons[3.11]": (0, 16),
    "test_pythons[3.13]": (0, 16),
    "test_supervisord_conf": (14, 14),
    "test_document_commands[README.fr.md]": (0, 14),
    "test_release_code": (0, 10),
    "test_machine": (0, 9),
    "test_private_names": (0, 7),
    "test_packages": (0, 7),
    "test_supervisor_config": (0, 6),
    "test_documents": (4, 4),
    "test_answers": (4, 3),
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
