#!/bin/sh
#: Puts the code of this folder into service on a server, without losing a request. deploy/release.sh --help says more.

exec sh "$(dirname "$0")/server/launch.sh" release "$@"
