"""_("The site as a service of the machine: the files that start it at boot, show it and copy its data.")"""

import os
import re
import shutil
import socket
import tempfile
from pathlib import Path

#% if cookiecutter.database == "postgresql"
from . import shared
#% endif
from .commands import Failed, run
from .facts import DOMAIN, FOLDER, GROUP, USER
from .site_folder import CODE
from .supervisord_conf import SupervisordConf, shown
from .venvs import can

#: Where certbot keeps the certificate of this name
CERTIFICATE = Path("/etc/letsencrypt/live", DOMAIN, "fullchain.pem")
NGINX = Path("/etc/nginx")
CRON = Path("/etc/cron.d")
UNITS = Path("/etc/systemd/system")
#: Those of this site that nginx writes
LOGS = [Path("/var/log/nginx", f"{DOMAIN}.{kind}.log") for kind in ("access", "error")]
#% if cookiecutter.database == "postgresql"
#: What nginx calls the site where it only passes on what visitors ask for: hosts.py
FRONT = f"{GROUP}-front"
#% endif
#: The name of the first site's service: for this one, supervisorctl needs no options.
FIRST = "supervisord"
SUPERVISORCTL = f"""#!/bin/sh
exec {FOLDER}/current/venv/bin/supervisorctl -c {FOLDER}/current/deploy/supervisord.conf "$@"
"""
#: That of Debian's package supervisor, which keeps its name
PACKAGED_SUPERVISORCTL = Path("/usr/bin/supervisorctl")


def filled(source, service):
    """_("A file of deploy/ with its @words@ filled in, for the service of this name.")"""
    values = {
        "folder": FOLDER,
        "user": USER,
        "group": GROUP,
        "domain": DOMAIN,
        "server_name": server_name(DOMAIN),
        "site": shown(SupervisordConf(CODE).site),
        "service": service,
    }
    text = CODE.joinpath("deploy", source).read_text(encoding="utf-8")
#% if cookiecutter.database == "postgresql"
    if shared.own():
        values |= shared.words()
        if source == "nginx/site.conf":
            #: As the front says; nobody else asks.
            text = text.replace("$scheme;", "$http_x_forwarded_proto;")
        if not shared.makes_copies():
            text = re.sub(r"(?m)^(?=.*/deploy/server backup )", "#", text)
#% endif
    if not has_ipv6():
        text = re.sub(r"(?m)^ *listen \[::\].*\n", "", text)
    words = "|".join(values)
    return re.sub(f"@({words})@", lambda found: values[found[1]], text)


def server_name(host):
    """_("As nginx takes it: a longer name would not fit into nginx's table of names, whose size all sites share; a regular expression does.")"""
    return host if len(host) <= 46 else f"~^{re.escape(host)}$"


def has_ipv6():
    try:
        socket.socket(socket.AF_INET6).close()
    except OSError:
        return False
    return True


def is_ours(path):
    """_("Each file of the service names the folder of the site.")"""
    if path.is_symlink():
        return os.readlink(path).startswith(f"{FOLDER}/current/")
    folder = rf"(\s|=|unix://){re.escape(FOLDER)}(/current/|\n)"
    return path.is_file() and re.search(folder, path.read_text(errors="replace"))


def installed_as():
    """_("The name of the service that this site is already; None where it is none.")"""
    for path in (NGINX / "sites-available").glob("*"):
#% if cookiecutter.database == "postgresql"
        if path.name == FRONT:
            continue
#% endif
        if is_ours(path):
            return path.name
    return None


def sites_of_user():
    """_("The folders of the other sites that run as this user, by the lines that copy their databases.")"""
    line = rf"(?m)^(?:\S+ )+{re.escape(USER)} (\S+)/current/venv/bin/"
    texts = [path.read_text(errors="replace") for path in CRON.glob("*")]
    folders = {folder for text in texts for folder in re.findall(line, text)}
    return sorted(folders - {FOLDER})


class Service:
    """_("A service: its name, and its files and links on the machine.")"""

    def __init__(self, name):
        if not re.fullmatch("[a-z][a-z0-9_-]*", name):
            text = _py("{name} is no name for a service: use small letters, digits, - and _ only.")
            raise Failed(text, name=name)
        self.name = name
        #: The init system that runs the machine, not one that is merely installed
        self.systemd = Path("/run/systemd/system").is_dir()
        self.script = Path(f"/etc/init.d/{name}")
        self.unit = UNITS / f"{name}.service"
        self.timer = UNITS / f"{name}-check.timer"
        self.units = {
            self.unit: "systemd/supervisord.service",
            self.timer: "systemd/check.timer",
            self.timer.with_suffix(".service"): "systemd/check.service",
        }
        self.site = NGINX / "sites-available" / name
        self.snippets = {
            NGINX / "snippets" / f"{name}-{part}": f"nginx/{part}"
            for part in ("site.conf", "headers.conf", "tls.conf", "upstream.conf")
        }
        self.enabled = NGINX / "sites-enabled" / name
        self.of_nginx = (self.site, *self.snippets, self.enabled)
        self.cron = CRON / name
        self.files = [self.script, *self.units, self.site, *self.snippets, self.cron]
        self.command = Path("/usr/local/bin/supervisorctl")
        #: What older versions made, or this one before that package came
        self.obsolete = []
        if name == FIRST:
            self.obsolete.append(Path("/etc/supervisord.conf"))
            packaged = PACKAGED_SUPERVISORCTL.exists()
            (self.obsolete if packaged else self.files).append(self.command)

    def require_free(self):
        """_("The name may mean no other service, and the site may have no other name.")"""
        self.require_name_of_site()
        packaged = Path(f"/lib/systemd/system/{self.name}.service")
        files = (*self.files, packaged)
        taken = [path for path in files if os.path.lexists(path) and not is_ours(path)]
        if os.path.lexists(self.enabled) and not self.is_enabled():
            taken.append(self.enabled)
        if taken:
            text = _py("{path} belongs to another service: give this site a name of its own, with --service NAME.")
            raise Failed(text, path=taken[0])

    def require_name_of_site(self):
        installed = installed_as()
        if installed not in (None, self.name):
            text = _py("{folder} is the service {installed}: --service {installed}")
            raise Failed(text, folder=FOLDER, installed=installed)

    def is_enabled(self):
        link = self.enabled
        return link.is_symlink() and os.readlink(link) == self.link_to_site()

    def link_to_site(self):
        return f"../sites-available/{self.name}"

    def texts(self):
        """_("What its files hold on this machine, by their paths.")"""
        vhost = "https.conf" if CERTIFICATE.exists() else "http.conf"
#% if cookiecutter.database == "postgresql"
        if shared.own():
            vhost = "behind_front.conf"
#% endif
        sources = {self.site: f"nginx/{vhost}", **self.snippets}
        sources[self.cron] = "cron.d/nightly"
        if self.systemd:
            sources |= self.units
        else:
            sources[self.script] = "init.d/supervisord"
        texts = {path: filled(source, self.name) for path, source in sources.items()}
        if self.command in self.files:
            texts[self.command] = SUPERVISORCTL
        return texts

    def shows(self, key):
        """_("What systemd knows of it.")"""
        if self.systemd:
            return run("systemctl", "show", "--value", f"--property={key}", self.name)

    def has_sockets(self):
        """_("systemd keeps those of a supervisord that ends in an error, for the next one.")"""
        return self.shows("NFileDescriptorStore") not in (None, "0")

    def says_why(self):
        """_("Where it is told why it does not start.")"""
        return f"journalctl -u {self.name}" if self.systemd else f"{FOLDER}/var/log"

    def outdated(self):
        """_("Its files that install.sh would write anew.")"""
        return [
            path
            for path, text in self.texts().items()
            if not path.exists() or path.read_text() != text
        ]

    def require_nginx(self):
        """_("Refuses files that wait and that nginx would refuse: it reads them in a copy of its folder, which nobody else sees.")"""
        texts = self.texts()
        waiting = [path for path in self.outdated() if NGINX in path.parents]
        script = 'mount --bind "$1" "$2" && nginx -t -q'
        test = ("unshare", "--mount", "sh", "-c", script, "sh")
        #: What is wrong already, this release has not done.
        if not waiting or not can(*test, NGINX, NGINX):
            return
        with tempfile.TemporaryDirectory() as folder:
            copy = shutil.copytree(NGINX, Path(folder, "nginx"), symlinks=True)
            for path in waiting:
                (copy / path.relative_to(NGINX)).write_text(texts[path])
            try:
                run(*test, copy, NGINX)
            except Failed as failure:
                text = _py("nginx refuses what is in deploy/nginx: {reason}")
                raise Failed(text, reason=failure) from None

    def write(self, changes):
        """_("What starts the site at each boot, and copies its database each night.")"""
        texts = self.texts()
        for path in filter(is_ours, self.obsolete):
            changes.remove(path)
        if self.systemd:
            changed = [changes.file(unit, texts[unit]) for unit in self.units]
            #: A run before this one may have ended between the two.
            if any(changed) or self.shows("NeedDaemonReload") == "yes":
                changes.run("systemctl", "daemon-reload")
            boot = UNITS / "multi-user.target.wants" / self.unit.name
            service = UNITS / f"{self.unit.name}.wants" / self.timer.name
            if not (boot.is_symlink() and service.is_symlink()):
                units = (self.unit.name, self.timer.name)
                changes.run("systemctl", "--quiet", "enable", *units)
                #: One that runs has been started without it.
                if self.shows("ActiveState") == "active":
                    changes.run("systemctl", "start", self.timer.name)
        else:
            changes.file(self.script, texts[self.script], 0o755)
            if not [*Path("/etc/rc2.d").glob(f"S??{self.name}")]:
                changes.run("update-rc.d", self.name, "defaults")
        changes.file(self.cron, texts[self.cron])
        if self.command in texts:
            changes.file(self.command, texts[self.command], 0o755)

    def write_of_nginx(self, changes):
        """_("Returns whether nginx must be told.")"""
        texts = self.texts()
        files = (self.site, *self.snippets)
        for log in LOGS:
            changes.log(log)
        changed = [changes.file(path, texts[path]) for path in files]
        return any([*changed, changes.link(self.enabled, self.link_to_site())])

    def remove(self, changes):
        """_("Stops the site first.")"""
        files = [*filter(is_ours, (*self.files, *self.obsolete))]
        if self.unit in files:
            units = [path.name for path in (self.unit, self.timer) if path in files]
            changes.run("systemctl", "--quiet", "disable", "--now", *units)
        if self.script in files:
            changes.run(self.script, "stop")
        if self.is_enabled():
            changes.remove(self.enabled)
        for path in files:
            changes.remove(path)
        if self.unit in files:
            changes.run("systemctl", "daemon-reload")
        if self.script in files:
            changes.run("update-rc.d", self.name, "remove")
