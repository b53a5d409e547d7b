"""Debian 12 boots, with systemd and with sysvinit."""

import pytest
from scenario import *

SUITE = "bookworm"
pytestmark = pytest.mark.booted
