"""_("nginx in front of the site: what it must be like, what it is told, and what it then answers.")"""

import re
import time
from contextlib import suppress
from pathlib import Path

#% if cookiecutter.database == "postgresql"
from . import shared
#% endif
from .commands import Failed, run, step
from .facts import DOMAIN
from .probes import ask
from .service import CERTIFICATE, LOGS, NGINX, server_name
from .site_folder import target

#: Seconds until nginx's workers have taken up new settings
LOAD_SECONDS = 10


def is_running():
    with suppress(OSError, ValueError):
        return Path("/proc", str(int(Path("/run/nginx.pid").read_text()))).exists()
    return False


def require_usable(service):
    """_("It reads the folders that Debian's reads, and what it has is in order.")"""
    folders = {path.parent for path in service.of_nginx}
    config = (NGINX / "nginx.conf").read_text(errors="replace")
    included = re.search(r"(?m)^[^#\n]*\binclude\s.*sites-enabled/", config)
    if not included or not all(folder.is_dir() for folder in folders):
        text = _py("nginx does not read {folder}, unlike Debian's own: make {folders}, write \"include {folder}/*;\" into the http block of {config}, then run this again.")
        raise Failed(
            text,
            folder=service.enabled.parent,
            folders=" ".join(map(str, sorted(folders))),
            config=NGINX / "nginx.conf",
        )
    if not service.is_enabled():
        test()


def test():
    """_("Returns the warnings of nginx. What it refuses is an error, in a sentence.")"""
    try:
        return run("nginx", "-t")
    except Failed as failure:
        said = re.search(r"\[emerg\] (?:\d+#\d+: )?(.*)", str(failure))
        text = _py("nginx refuses its settings: {reason}")
        raise Failed(text, reason=said[1] if said else failure) from None


def load(changes):
    """_("nginx reads its files, if it accepts them. Of two sites of one name, only one would be seen.")"""
    conflict = f'conflicting server name "{server_name(DOMAIN)}"'
    if not changes.dry_run and conflict in test():
        text = _py("{domain} is the name of another site of nginx, too (nginx -T): only one may have it.")
        raise Failed(text, domain=DOMAIN)
    changes.run("service", "nginx", "reload" if is_running() else "start")


def speaks_tls():
#% if cookiecutter.database == "postgresql"
    if shared.own():
        return False
#% endif
    return CERTIFICATE.exists()


def listens_at():
    """_("Its addresses here: (host, port). The last one is the visitors'.")"""
#% if cookiecutter.database == "postgresql"
    if own := shared.own():
        return [(own, shared.PORT)]
#% endif
    ports = (80, 443) if speaks_tls() else (80,)
    return [("0.0.0.0", port) for port in ports]


def speaks_to_all_plainly():
    """_("Whether visitors come by http.")"""
    return listens_at() == [("0.0.0.0", 80)]


def address():
#% if cookiecutter.database == "postgresql"
    if own := shared.own():
        return f"http://{own}:{shared.PORT}/"
#% endif
    return f"{'https' if speaks_tls() else 'http'}://{DOMAIN}/"


def got():
    """_("What a visitor gets from nginx: status and text, or the reason why nothing.")"""
    host, port = listens_at()[-1]
    return got_from(host.replace("0.0.0.0", "127.0.0.1"), port, speaks_tls())


def got_from(host, port, tls):
    try:
        return ask((host, port), "/healthz", DOMAIN, tls=tls)
    except OSError as error:
        return _py("no answer"), str(error)


def serves(site):
    """_("Whether visitors get the release that is current.")"""
    return got() == (200, f"ok {target(site.current)}\n")


def require_answer(site):
    """_("Asks as a visitor does: another site may have the name, another program the port.")"""
    with step(_py("Asking for {address}"), address=address()):
        deadline = time.monotonic() + LOAD_SECONDS
        while not serves(site):
            if time.monotonic() > deadline:
                status, said = got()
                said = said.partition("\n")[0][:60]
                text = _py("{address}healthz gives \"{status} {said}\", not this site: nginx does not listen there, or another site does (nginx -T, ss -tlnp, /var/log/nginx/error.log).")
                raise Failed(text, address=address(), status=status, said=said)
            time.sleep(0.2)


def logs():
    """_("With those that have been rotated.")"""
    return [path for log in LOGS for path in sorted(log.parent.glob(f"{log.name}*"))]
