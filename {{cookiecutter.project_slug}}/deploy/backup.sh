#!/bin/sh
#: Copies the data of the site on this server, while it goes on. deploy/backup.sh --help says more.

exec sh "$(dirname "$0")/server/launch.sh" backup "$@"
