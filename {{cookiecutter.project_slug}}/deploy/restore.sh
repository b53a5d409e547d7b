#!/bin/sh
#: Shows the copies of the site's data, or puts one back. deploy/restore.sh --help says more.

exec sh "$(dirname "$0")/server/launch.sh" restore "$@"
