#!/bin/sh
#: Sets the site up: venv, requirements, secrets, database, static files. Run it again whenever you like: it does only what is missing.

set -eu
#: Where a user has set it, cd may go elsewhere.
unset CDPATH

die() {
    format=$1
    shift
    #: The catalogue's sentences are formats; what fills them in comes as arguments.
    # shellcheck disable=SC2059
    printf -- "$format\n" "$@" >&2
    exit 1
}

usage() {
    cat <<'USAGE'
_("Usage: ./bootstrap.sh [--offline] [--wheelhouse DIR] [--venv DIR]")

_("  --wheelhouse DIR  also take packages from this folder")
_("  --offline         use no network; needs --wheelhouse DIR")
_("  --venv DIR        make only the venv, and there (deploy/release.sh does)")

_("To fill the folder: venv/bin/pip download -r requirements.txt -d DIR")
USAGE
}

offline=
wheelhouse=
only_venv=
while [ $# -gt 0 ]; do
    case $1 in
    --offline) offline=yes ;;
    --wheelhouse)
        [ -d "${2-}" ] || die _sh("--wheelhouse needs a folder that exists, not \"%s\".") "${2-}"
        wheelhouse=$(cd "$2" && pwd)
        shift
        ;;
    --venv)
        [ "${2-}" ] || die _sh("--venv needs a folder.")
        only_venv=$2
        shift
        ;;
    -h | --help)
        usage
        exit
        ;;
    *) die _sh("%s is not an option; ./bootstrap.sh --help lists them.") "$1" ;;
    esac
    shift
done
if [ "$offline" ] && ! [ "$wheelhouse" ]; then
    die _sh("--offline needs --wheelhouse DIR, a folder with the packages.")
fi

cd -P "$(dirname "$0")"
log=var/log/bootstrap.log
venv=${only_venv:-$PWD/venv}
stamp=$venv/bootstrap.stamp
compiled=venv/compiled.stamp
#: One per release; RELEASE in the settings is the name of this folder.
manifest=var/static/manifests/${PWD##*/}/staticfiles.json
unfinished=var/static.unfinished
bind=$(sed -n 's|^socket = tcp://\([^ ]*\).*|\1|p' deploy/supervisord.conf)
web_interface=$(sed -n 's|^port = \([^ ]*\).*|\1|p' deploy/supervisord.conf)

#: step TEXT COMMAND...: runs a command, with a dot each second; where it fails, its last words.
step() {
    printf '%s ' "$1"
    text=$1
    shift
    (while sleep 1 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do printf .; done) 9>&- &
    dots=$!
    status=0
    "$@" >"$log" 2>&1 || status=$?
    #: KILL: so early a TERM may come that the shell has not yet dropped the trap for it.
    kill -KILL "$dots"
    wait "$dots" 2>/dev/null || true
    echo
    [ $status = 0 ] && return
    check_space 1
    tail -n 5 "$log" >&2
    die _sh("It failed: \"%s\". The lines above tell why (all of them: %s). Then run ./bootstrap.sh again.") "$text" "$log"
}

#: check_space MEGABYTES: stops where fewer are free.
check_space() {
    free=$("$python" -S -c 'import os; disk = os.statvfs("."); print(disk.f_bavail * disk.f_frsize // 10**6)')
    [ "$free" -ge "$1" ] ||
        die _sh("The disk of %s has %s MB free and the site needs 150: free some and run ./bootstrap.sh again.") "$PWD" "$free"
}

cannot_write() {
    check_space 1
    die _sh("%s cannot be written: run ./bootstrap.sh as its owner, make it yours (sudo chown -R), or make its disk writable.") "$PWD/$1"
}

find_python() {
    for python in python3 python3.14 python3.13 python3.12 python3.11 python3.10; do
        #: Not the Python of an active venv, which may be the one that is made anew.
        #: -S: Python starts sooner where it need not look at installed packages.
        python=$("$python" -S -c 'import importlib.util, sys; print(sys.version_info >= (3, 10) and importlib.util.find_spec("venv") and sys._base_executable or 1 / 0)' 2>/dev/null) && return
    done
    die _sh("Python 3.10 or later is needed and was not found. On Debian or Ubuntu: sudo apt install python3 python3-venv")
}

#: Locks the log through descriptor 9, which every command below inherits: the lock is gone with the last of them, however they end.
take_lock() {
    [ -w . ] || cannot_write ""
    { mkdir -p var/log && touch "$log"; } 2>/dev/null || cannot_write "$log"
    exec 9>>"$log"
    "$python" -S -c 'import fcntl; fcntl.flock(0, fcntl.LOCK_EX | fcntl.LOCK_NB)' <&9 2>/dev/null ||
        die _sh("Another ./bootstrap.sh is at work in %s: wait until it has ended.") "$PWD"
}

check_ports() {
    pid=$(cat var/supervisord.pid 2>/dev/null) && kill -0 "$pid" 2>/dev/null && return
    # shellcheck disable=SC2086
    taken=$("$python" -S -c '
import socket, sys
for address in sys.argv[1:]:
    host, _, port = address.rpartition(":")
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind((host.strip("*"), int(port)))
    except OSError as error:
        sys.exit(f"{address} {error.strerror}")
' $bind $web_interface 2>&1) ||
        die _sh("%s cannot be used (%s): stop the program that listens there, or change the address in deploy/supervisord.conf.") "${taken%% *}" "${taken#* }"
}

#: What the venv was made from: where it stands, its Python, the requirements.
venv_made_from() {
    echo "$venv"
    "$venv/bin/python" -S -c 'import sys; print(*sys.version_info[:2])' 2>/dev/null || echo "no python"
    cksum <requirements.txt
}

make_venv() {
    set -- --require-hashes -r requirements.txt ${wheelhouse:+--find-links "$wheelhouse"} ${offline:+--no-index}
    if command -v uv >/dev/null; then
        #: uv keeps what it downloads in the home folder; www-data, say, may not write there.
        [ -w "${HOME-}" ] || export UV_NO_CACHE=1
        [ -d "$venv" ] || step _sh("Making the venv (uv)") uv venv --no-project --python "$python" "$venv"
        step _sh("Installing the requirements (uv)") uv pip install --no-deps --python "$venv/bin/python" "$@"
        return
    fi
    #: The requirements are complete: pip need not look for more (--no-deps). compile_packages is faster than pip at compiling.
    set -- install --no-deps --no-compile --no-input --disable-pip-version-check "$@"
    #: pip fills other venvs than its own from 22.3 on (--python), and installs a pip there too.
    if "$python" -c 'import pip, sys; sys.exit(tuple(map(int, pip.__version__.split(".")[:2])) < (22, 3))' 2>/dev/null; then
        [ -d "$venv" ] || step _sh("Making the venv") "$python" -m venv --without-pip "$venv"
        step _sh("Installing the requirements") "$python" -m pip --python "$venv/bin/python" "$@"
    else
        [ -d "$venv" ] || make_venv_with_pip
        step _sh("Installing the requirements") "$venv/bin/python" -m pip "$@"
    fi
}

make_venv_with_pip() {
    if "$python" -c 'import ensurepip; ensurepip.version()' 2>/dev/null; then
        step _sh("Making the venv") "$python" -m venv "$venv"
    elif command -v virtualenv >/dev/null; then
        step _sh("Making the venv (virtualenv)") virtualenv --python "$python" "$venv"
    else
        die _sh("%s can make no venv with pip. On Debian or Ubuntu: sudo apt install python3-venv") "$python"
    fi
}

finish_venv() {
    #: supervisord finds its config next to its venv, and deploy/supervisor_plugin on Python's path.
    ln -sf ../deploy/supervisord.conf "$venv/supervisord.conf" &&
        for packages in "$venv"/lib/python3.*/site-packages; do
            echo ../../../../deploy >"$packages/deploy.pth"
        done && venv_made_from >"$stamp.new" && mv "$stamp.new" "$stamp"
}

#: Compiles the packages while the steps below go on. pip and the packages' tests, which the site never runs, can wait until they are used.
compile_packages() {
    venv/bin/python -m compileall -qq -x 'site-packages/pip/|/tests/' venv/lib/ >/dev/null 2>&1 &
    compiling=$!
}

#: A module that only another Python understands may stay as it is.
wait_until_compiled() {
    wait "$compiling" || true
    compiling=
}

#: secret FILE TEXT: a file for its owner alone, whole or not at all.
secret() {
    (umask 077 && printf '%s\n' "$2" >var/secret && mv var/secret "$1") 2>/dev/null || cannot_write "$1"
}

random() {
    LC_ALL=C tr -dc A-Za-z0-9 </dev/urandom | head -c 64
}

#: manage COMMAND...: what ./manage.py does, in one Django for all of them, whose start takes the most time.
manage() {
    venv/bin/python -c '
import os, sys
import django
from django.core.management import call_command
os.environ["DJANGO_SETTINGS_MODULE"] = "{{ cookiecutter.project_slug }}.settings"
django.setup()
for command in sys.argv[1:]:
    call_command(command, interactive=False, skip_checks=False)
' "$@"
}

#: The static files of every app; the settings tell which apps there are.
static_files_changed() {
    find . "$stamp" \( -path ./venv -o -path ./var \) -prune -o -newer "$manifest" \
        \( -path '*/static*' -o -name settings.py -o -name bootstrap.stamp \) -print
}

compiling=
trap '[ -z "$compiling" ] || kill "$compiling" 2>/dev/null' EXIT
trap 'exit 130' INT TERM HUP
find_python
take_lock
[ "$only_venv" ] || check_ports
if [ "$(venv_made_from)" != "$(cat "$stamp" 2>/dev/null)" ]; then
    #: A venv that is half-made, moved or of another Python is made anew; one with other requirements is brought up to date.
    if [ "$(venv_made_from | head -n 2)" != "$(head -n 2 "$stamp" 2>/dev/null)" ]; then
        rm -rf "$venv" 2>/dev/null || cannot_write venv
        check_space 150
    fi
    rm -f "$stamp" $compiled
    make_venv
    finish_venv 2>/dev/null || cannot_write venv
fi
[ ! "$only_venv" ] || exit 0
[ -e $compiled ] || compile_packages
if [ ! -f .env ]; then
    key=$(random)
    secret .env "$(sed "s|^SECRET_KEY=|&$key|" .env.example)"
fi
{%- if cookiecutter.web_interface != "off" %}
if [ ! -f deploy/web_interface.conf ]; then
    password=$(random)
    secret deploy/web_interface.conf "[inet_http_server]
password = $password"
fi
{%- endif %}
set --
if [ ! -f var/db.sqlite3 ] || ! venv/bin/python manage.py migrate --check >"$log" 2>&1; then
    set -- migrate
fi
if [ -e $unfinished ] || [ ! -f "$manifest" ] || [ "$(static_files_changed)" ]; then
    #: One that was interrupted may have left half a file, which Django would keep.
    [ ! -e $unfinished ] || find var -path 'var/static/*' -type f -newer $unfinished -exec rm -f {} +
    touch $unfinished 2>/dev/null || cannot_write $unfinished
    set -- "$@" collectstatic
fi
if [ $# -gt 0 ]; then
    step "$(printf _sh("Preparing the site (%s)") "$*")" manage "$@"
    rm -f $unfinished
fi
if [ "$compiling" ]; then
    step _sh("Compiling the packages") wait_until_compiled
    touch $compiled 2>/dev/null || cannot_write $compiled
fi

cat <<NEXT
_("Everything is in place.")

  venv/bin/supervisord              _("start the site:") http://$bind/
  venv/bin/supervisorctl status     _("look at it")
  venv/bin/supervisorctl shutdown   _("stop it")
{%- if cookiecutter.web_interface != "off" %}

_("Web interface:") http://$web_interface/ _("(user: admin; password: in deploy/web_interface.conf)")
{%- endif %}
NEXT
