"""_("The user who runs the site: root runs none of it, and writes nothing where the site may write.")"""

import os
import pwd
from contextlib import contextmanager

from .commands import Failed


class SiteUser:
    """_("The owner of var/.")"""

    def __init__(self, var):
        number = var.stat().st_uid
        try:
            self.account = pwd.getpwuid(number)
        except KeyError:
            text = _py("{folder} belongs to the number {number}, which is no user here: give it to one (chown -R).")
            raise Failed(text, folder=var, number=number) from None
        self.switched = os.geteuid() == 0
        if self.account.pw_uid != os.geteuid() and not self.switched:
            text = _py("{folder} belongs to {user}: only root and {user} may do this. Use sudo.")
            raise Failed(text, folder=var, user=self.account.pw_name)
        if self.account.pw_uid == 0:
            text = _py("{folder} belongs to root, and a site must not run as root: give it to another user (chown -R).")
            raise Failed(text, folder=var)

    @contextmanager
    def touches_files(self):
        """_("Within it, files are touched with this user's rights.")"""
        if not self.switched:
            yield
            return
        groups = os.getgroups()
        os.setgroups(groups_of(self.account))
        os.setegid(self.account.pw_gid)
        os.seteuid(self.account.pw_uid)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(0)
            os.setgroups(groups)

    def environment(self):
        """_("Nothing of the caller's reaches the site.")"""
        return {"PATH": "/usr/bin:/bin", "HOME": self.account.pw_dir, "LANG": "C.UTF-8"}

    def options(self):
        """_("For started() and run(). Nor does the caller's terminal.")"""
        options = {"env": self.environment(), "start_new_session": True}
        return options | (other_user(self.account) if self.switched else {})


def other_user(account):
    """_("For subprocess: another user and all of its groups.")"""
    return {
        "user": account.pw_uid,
        "group": account.pw_gid,
        "extra_groups": groups_of(account),
    }


def groups_of(account):
    return os.getgrouplist(account.pw_name, account.pw_gid)
