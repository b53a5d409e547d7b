#!/bin/sh
#: Adds packages to the site, or upgrades them: ./packages.sh add NAME, ./packages.sh upgrade [NAME]

exec sh "$(dirname "$0")/deploy/server/launch.sh" packages "$@"
