#!/bin/sh
#: Makes this machine the site's server: starts it at each boot, behind nginx. deploy/install.sh --help says more.

exec sh "$(dirname "$0")/server/launch.sh" install "$@"
