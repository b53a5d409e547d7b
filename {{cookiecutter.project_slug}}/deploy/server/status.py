"""_("Shows how the site on this server is: its releases and its programs. deploy/servers.sh status runs it there.")"""

from .commands import say
from .release import show_releases
from .releases import serving
from .site_folder import own_site
from .site_user import SiteUser


def main(words):
    site = own_site()
    site.user = SiteUser(site.var)
    show_releases(site)
    say(serving(site).python("deploy/server", "health", "status"))
