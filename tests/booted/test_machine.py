"""What the tests boot ends with them, however they end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.debian import MORTAL, require_root, tree
from support.template import ROOT
from support.waiting import eventually

pytestmark = [pytest.mark.booted, pytest.mark.slow]

BOOT = """
import sys
from pathlib import Path
from support.debian import booted

layers = [Path(layer) for layer in sys.argv[1:]]
with booted(layers, "systemd") as machine:
    print(machine.name, machine.root.parent, machine.pid, *machine.cgroups, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_killed_run_leaves_no_machine_behind(number: int) -> None:
    require_root()
    layers = tree("bookworm", "systemd")
    run = subprocess.Popen(
        [sys.executable, "-c", BOOT, *map(str, layers)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with run:
        assert run.stdout
        name, folder, pid, *groups = run.stdout.readline().split()
        traces = [
            *map(Path, (folder, f"/proc/{pid}", *groups)),
            Path("/run/systemd/nspawn/propagate", name),
        ]
        assert all(trace.exists() for trace in traces)
        run.send_signal(number)

    def all_gone() -> bool:
        mounts = Path("/proc/mounts").read_text()
        return folder not in mounts and not any(trace.exists() for trace in traces)

    eventually(all_gone, 30)


def test_a_mortal_command_dies_with_the_tests() -> None:
    """debootstrap runs so: what it starts and mounts would stay for ever."""
    require_root()
    script = "mount -t tmpfs tmpfs /srv; echo up; sleep 1000"
    start = f"import subprocess; subprocess.run({[*MORTAL, 'sh', '-c', script]})"
    with subprocess.Popen([sys.executable, "-c", start], stdout=subprocess.PIPE) as run:
        assert run.stdout
        assert run.stdout.readline() == b"up\n"
        assert not os.path.ismount("/srv")
        run.kill()
        # The pipe closes once the last of them is gone.
        run.stdout.read()


@pytest.mark.parametrize(("ci", "outcome"), [("", "1 skipped"), ("true", "1 failed")])
def test_nobody_but_root_boots_a_machine(ci: str, outcome: str) -> None:
    require_root()
    pytest_ = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider"]
    done = subprocess.run(
        ["unshare", "--user", *pytest_, "-k", "mortal", __file__],
        cwd=ROOT,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "a machine is booted as root on Linux" in done.stdout
    assert outcome in done.stdout
