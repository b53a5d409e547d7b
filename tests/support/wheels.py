"""Packages that tests make."""

import hashlib
import zipfile
from pathlib import Path


def tiny_wheel(folder: Path) -> str:
    """Makes a package with a module that no Python can compile; its line for requirements.txt."""
    wheel = folder / "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny/__init__.py", "")
        archive.writestr("tiny/for_another_python.py", "print 1\n")
        archive.writestr(
            "tiny-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1\n"
        )
        archive.writestr("tiny-1.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        names = "".join(f"{name},,\n" for name in archive.namelist())
        archive.writestr("tiny-1.dist-info/RECORD", f"{names}tiny-1.dist-info/RECORD,,\n")
    return f"tiny==1 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"
