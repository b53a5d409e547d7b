#!/bin/sh
#: Brings the code from here to the servers of deploy/inventory.ini, and runs commands there. deploy/servers.sh --help says more.

exec sh "$(dirname "$0")/server/launch.sh" servers "$@"
