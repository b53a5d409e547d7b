"""Debian 13 boots, with systemd and with sysvinit."""

from scenario import *

SUITE = "trixie"
