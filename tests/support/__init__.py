"""What tests share: helpers, and no test. Fixtures stand in conftest.py."""

import pkgutil

import pytest

# A failed assert in a helper shows its values, as one in a test does.
pytest.register_assert_rewrite(*(name for _, name, _ in pkgutil.iter_modules(__path__, "support.")))
