"""nginx as the template delivers it, without root: only its ports and folders are others."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

FILL = """
import json, sys
sys.path.insert(0, "deploy")
from server.service import filled
print(json.dumps([filled(source, "supervisord") for source in sys.argv[1:]]))
"""
MAIN = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    include /etc/nginx/mime.types;
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/enabled.conf;
}}
"""
SNIPPETS = ("site.conf", "headers.conf", "tls.conf", "upstream.conf")


def fill(project: Path, *sources: str) -> list[str]:
    """Files of the project's deploy/ with their words filled in, by the project's own code."""
    command = [sys.executable, "-B", "-c", FILL, *sources]
    texts: list[str] = json.loads(subprocess.check_output(command, cwd=project))
    return texts


def configure(
    folder: Path, project: Path, name: str, ports: Mapping[int, int], live: Path = Path("/")
) -> tuple[str, ...]:
    """Writes the config below the folder, and gives nginx's options for it.

    `name`: http.conf or https.conf; `ports`: what to use for 80 and 443; `live`: where certificates are.
    """
    (folder / "snippets").mkdir()
    targets = ["enabled.conf", *(f"snippets/supervisord-{snippet}" for snippet in SNIPPETS)]
    texts = fill(project, *(f"nginx/{source}" for source in (name, *SNIPPETS)))
    for target, text in zip(targets, texts, strict=True):
        for port, other in ports.items():
            text = re.sub(rf"listen (\[::\]:|){port}\b", rf"listen 127.0.0.1:{other}", text)
        # The same address twice, once for each family: once is enough here.
        text = re.sub(r"(\s+listen [^;]+;)\1", r"\1", text)
        text = text.replace("/etc/letsencrypt/live", str(live))
        text = text.replace("/var/log/nginx", str(folder))
        (folder / target).write_text(text)
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder))
    return "-p", str(folder), "-c", str(folder / "nginx.conf")
