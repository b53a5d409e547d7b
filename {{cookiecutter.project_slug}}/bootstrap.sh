#!/bin/sh
#: Sets the site up: venv, requirements, secrets, database, static files. Run it again whenever you like: it does only what is missing.

exec sh "$(dirname "$0")/deploy/server/launch.sh" bootstrap "$@"
