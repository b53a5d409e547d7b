# shellcheck shell=sh
#: Runs a command of this package with the first Python that is new enough: launch.sh COMMAND [WORD]...

set -eu

#: After a bare su, PATH lacks the folders of what only root runs.
PATH=$PATH:/usr/sbin:/sbin
for python in python3 python3.14 python3.13 python3.12 python3.11 python3.10; do
    #: -I: Python heeds no variable of the shell (PYTHONHOME, PYTHONPATH). -B: running this leaves nothing behind in the folder of the code.
    "$python" -I -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null &&
        exec "$python" -I -B "$(dirname "$0")" "$@"
done
printf '%s\n' _sh("Python 3.10 or later is needed and was not found. On Debian or Ubuntu: sudo apt install python3 python3-venv") >&2
exit 1
