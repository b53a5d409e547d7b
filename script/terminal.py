"""A terminal session that really happens, and its picture."""

import os
import subprocess
import sys
from html import escape
from pathlib import Path

FONT_SIZE, LINE, MARGIN = 14, 20, 20
CHARACTER = 8.43  # width, in a font of that size
PICTURE = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img">
<title>{title}</title>
<style>text {{ white-space: pre }}</style>
<rect width="100%" height="100%" rx="8" fill="#10211a"/>
<g fill="#e6efe9" font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
 font-size="{font_size}">
{texts}
</g>
</svg>
"""


class Terminal:
    """Runs what is typed, and keeps what then stands on the screen."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.home = home
        self.folder = folder
        self.lines: list[str] = []

    def type(self, command: str) -> None:
        """Runs the command and records what it shows; ends the script where it fails."""
        self.lines.append(f"$ {command}")
        words = command.replace("~", str(self.home))
        if words.startswith("cd "):
            self.folder = Path(words.removeprefix("cd "))
            return
        print(self.lines[-1], flush=True)
        with subprocess.Popen(
            ["sh", "-c", words],
            cwd=self.folder,
            env={**os.environ, "HOME": str(self.home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout
            for line in process.stdout:
                print(line, end="", flush=True)
                # As a prompt shows the home folder; another one's path would say nothing.
                self.lines.append(line.rstrip().replace(str(self.home), "~"))
        if process.returncode:
            sys.exit(f"{command} failed (see above).")

    def picture(self, title: str) -> str:
        """The session as an SVG, the typed lines in another colour."""
        texts = []
        for number, line in enumerate(self.lines, start=1):
            colour = ' fill="#7fd8b4"' if line.startswith("$ ") else ""
            y = MARGIN + number * LINE - (LINE - FONT_SIZE)
            texts.append(f'<text x="{MARGIN}" y="{y}"{colour}>{escape(line)}</text>')
        return PICTURE.format(
            width=2 * MARGIN + max(map(len, self.lines)) * CHARACTER,
            height=2 * MARGIN + len(self.lines) * LINE,
            title=title,
            font_size=FONT_SIZE,
            texts="\n".join(texts),
        )
