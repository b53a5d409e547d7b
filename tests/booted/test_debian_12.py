"""Debian 12 boots, with systemd and with sysvinit."""

from scenario import *

SUITE = "bookworm"
