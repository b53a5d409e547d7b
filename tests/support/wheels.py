"""Packages that tests make."""

import hashlib
import zipfile
from pathlib import Path


def tiny_wheel(folder: Path, name: str = "tiny", version: str = "1", needs: str = "") -> str:
    """Makes a package with a module that no Python can compile; its line for requirements.txt."""
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    about = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{name}/__init__.py", "")
        archive.writestr(f"{name}/for_another_python.py", "print 1\n")
        archive.writestr(
            f"{about}/METADATA", metadata + (f"Requires-Dist: {needs}\n" if needs else "")
        )
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        names = "".join(f"{name},,\n" for name in archive.namelist())
        archive.writestr(f"{about}/RECORD", f"{names}{about}/RECORD,,\n")
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"
