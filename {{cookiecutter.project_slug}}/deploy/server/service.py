"""_("The site as a service of the machine: the files that start it at boot, show it and copy its data.")"""

import configparser
import io
import os
import re
import shutil
import tempfile
from pathlib import Path

from .commands import Failed, run
from .facts import DOMAIN, FOLDER, GROUP, USER
from .releases import CODE
from .supervisord_conf import SupervisordConf, shown
from .venvs import can

#: Where certbot keeps the certificate of this name
CERTIFICATE = Path("/etc/letsencrypt/live", DOMAIN, "fullchain.pem")
NGINX = Path("/etc/nginx")
#: Those of this site that nginx writes
LOGS = [Path("/var/log/nginx", f"{DOMAIN}.{kind}.log") for kind in ("access", "error")]
#: The name of the first site's service: for this one, supervisorctl needs no options.
FIRST = "supervisord"


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
    words = "|".join(values)
    return re.sub(f"@({words})@", lambda found: values[found[1]], text)


def server_name(host):
    """_("As nginx takes it: a longer name would not fit into nginx's table of names, whose size all sites share; a regular expression does.")"""
    return host if len(host) <= 46 else f"~^{re.escape(host)}$"


def config_of_supervisorctl():
    """_("What supervisorctl reads of the site's config, with the paths of this machine.")"""
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
    text = (CODE / "deploy" / "supervisord.conf").read_text(encoding="utf-8")
    parser.read_string(text.replace("%(here)s", f"{FOLDER}/current/deploy"))
    for section in parser.sections():
        if not section.startswith(("supervisorctl", "ctlplugin:")):
            parser.remove_section(section)
    text = io.StringIO()
    parser.write(text)
    return text.getvalue().rstrip("\n") + "\n"


def is_ours(path):
    """_("Each file of the service names the folder of the site.")"""
    folder = rf"(\s|=|unix://){re.escape(FOLDER)}(/current/|\n)"
    return path.is_file() and re.search(folder, path.read_text(errors="replace"))


def installed_as():
    """_("The name of the service that this site is already; None where it is none.")"""
    for path in (NGINX / "sites-available").glob("*"):
        if is_ours(path):
            return path.name
    return None


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
        self.unit = Path(f"/etc/systemd/system/{name}.service")
        self.site = NGINX / "sites-available" / name
        self.snippets = {
            NGINX / "snippets" / f"{name}-{part}": f"nginx/{part}"
            for part in ("site.conf", "headers.conf", "tls.conf", "upstream.conf")
        }
        self.enabled = NGINX / "sites-enabled" / name
        self.cron = Path(f"/etc/cron.d/{name}")
        self.files = [self.script, self.unit, self.site, *self.snippets, self.cron]
        self.links = {self.enabled: f"../sites-available/{name}"}
        if name == FIRST:
            self.config = Path("/etc/supervisord.conf")
            self.files.append(self.config)
            self.command = Path("/usr/local/bin/supervisorctl")
            self.links[self.command] = f"{FOLDER}/current/venv/bin/supervisorctl"

    def require_free(self):
        """_("The name may mean no other service, and the site may have no other name.")"""
        self.require_name_of_site()
        packaged = Path(f"/lib/systemd/system/{self.name}.service")
        files = (*self.files, packaged)
        taken = [path for path in files if path.exists() and not is_ours(path)]
        links = [path for path in self.links if os.path.lexists(path)]
        taken += [path for path in links if not self.is_our_link(path)]
        if taken:
            text = _py("{path} belongs to another service: give this site a name of its own, with --service NAME.")
            raise Failed(text, path=taken[0])

    def require_name_of_site(self):
        installed = installed_as()
        if installed not in (None, self.name):
            text = _py("{folder} is the service {installed}: --service {installed}")
            raise Failed(text, folder=FOLDER, installed=installed)

    def is_our_link(self, path):
        return path.is_symlink() and os.readlink(path) == self.links[path]

    def texts(self):
        """_("What its files hold on this machine, by their paths.")"""
        vhost = "https.conf" if CERTIFICATE.exists() else "http.conf"
        sources = {self.site: f"nginx/{vhost}", **self.snippets}
        sources[self.cron] = "cron.d/backup"
        if self.systemd:
            sources[self.unit] = "systemd/supervisord.service"
        else:
            sources[self.script] = "init.d/supervisord"
        texts = {path: filled(source, self.name) for path, source in sources.items()}
        if self.name == FIRST:
            texts[self.config] = config_of_supervisorctl()
        return texts

    def outdated(self):
        """_("Its files that install.sh would write anew.")"""
        return [
            path
            for path, text in self.texts().items()
            if not path.exists() or path.read_text() != text
        ]

    def require_nginx(self):
        """_("Refuses files that wait and that nginx would refuse: it reads them in a copy of its folder, which nobody else sees.")"""
        waiting = [path for path in self.outdated() if NGINX in path.parents]
        test = 'mount --bind "$1" "$2" && nginx -t -q'
        test = ("unshare", "--mount", "sh", "-c", test, "sh")
        #: What is wrong already, this release has not done.
        if not waiting or not can(*test, NGINX, NGINX):
            return
        with tempfile.TemporaryDirectory() as folder:
            copy = shutil.copytree(NGINX, Path(folder, "nginx"), symlinks=True)
            for path in waiting:
                (copy / path.relative_to(NGINX)).write_text(self.texts()[path])
            try:
                run(*test, copy, NGINX)
            except Failed as failure:
                text = _py("nginx refuses what is in deploy/nginx: {reason}")
                raise Failed(text, reason=failure) from None

    def write(self, changes):
        """_("What starts the site at each boot, and copies its database each night.")"""
        texts = self.texts()
        if self.systemd:
            if changes.file(self.unit, texts[self.unit]):
                changes.run("systemctl", "daemon-reload")
            wanted = Path("/etc/systemd/system/multi-user.target.wants", self.unit.name)
            if not wanted.is_symlink():
                changes.run("systemctl", "--quiet", "enable", self.name)
        else:
            changes.file(self.script, texts[self.script], 0o755)
            if not [*Path("/etc/rc2.d").glob(f"S??{self.name}")]:
                changes.run("update-rc.d", self.name, "defaults")
        changes.file(self.cron, texts[self.cron])
        if self.name == FIRST:
            changes.file(self.config, texts[self.config])
            changes.link(self.command, self.links[self.command])

    def serve(self, changes, nginx_runs):
        """_("Puts nginx in front of the site. Where nginx refuses that, it goes on as it was.")"""
        texts = self.texts()
        files = (self.site, *self.snippets)
        logs = [log for log in LOGS if changes.log(log)]
        before = {path: path.read_text() for path in files if path.exists()}
        was_enabled = self.enabled.exists()
        changed = [changes.file(path, texts[path]) for path in files]
        changed.append(changes.link(self.enabled, self.links[self.enabled]))
        if nginx_runs and not any(changed):
            return
        try:
            changes.run("nginx", "-t", "-q")
        except Failed:
            if not was_enabled:
                changes.remove(self.enabled)
            for path in (*files, *logs):
                if path in before:
                    changes.file(path, before[path])
                else:
                    changes.remove(path)
            raise
        changes.run("service", "nginx", "reload" if nginx_runs else "start")

    def remove(self, changes, nginx_runs):
        """_("Stops the site first.")"""
        files = [path for path in self.files if path.exists() and is_ours(path)]
        if self.unit in files:
            changes.run("systemctl", "--quiet", "disable", "--now", self.name)
        if self.script in files:
            changes.run(self.script, "stop")
        for path in filter(self.is_our_link, self.links):
            changes.remove(path)
        for path in files:
            changes.remove(path)
        if self.unit in files:
            changes.run("systemctl", "daemon-reload")
        if self.script in files:
            changes.run("update-rc.d", self.name, "remove")
        if nginx_runs:
            changes.run("service", "nginx", "reload")

    def nginx_logs(self):
        """_("With those that have been rotated.")"""
        return [path for log in LOGS for path in log.parent.glob(f"{log.name}*")]
