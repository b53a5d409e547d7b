#!/bin/sh
#: Runs a command of Django's on the server, as the site's user: deploy/manage.sh createsuperuser, say.

exec sh "$(dirname "$0")/server/launch.sh" manage "$@"
