"""Debian 13 boots, with systemd and with sysvinit."""

import pytest
from scenario import *

SUITE = "trixie"
pytestmark = pytest.mark.booted
