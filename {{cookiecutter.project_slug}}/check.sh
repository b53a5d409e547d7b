#!/bin/sh
#: Checks the whole project, as each push does (.github/workflows/check.yml, .gitlab-ci.yml). The first error ends it.

set -eu
cd "$(dirname "$0")"

if ! [ -x venv/bin/ruff ]; then
    printf '%s\n' _sh("ruff is missing in the venv: ./bootstrap.sh --dev adds it.") >&2
    exit 1
fi
#: Each command is shown.
set -x
venv/bin/ruff check
venv/bin/ruff format --check
venv/bin/python manage.py check
venv/bin/python manage.py makemigrations --check
venv/bin/python manage.py test
