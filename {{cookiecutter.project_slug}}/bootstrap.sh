#!/bin/sh
#: Sets the site up: venv, requirements, secrets, database, static files. Run it again whenever you like: it does only what is missing.

set -eu

die() {
    format=$1
    shift
    #: The catalogue's sentences are formats; what fills them in comes as arguments.
    # shellcheck disable=SC2059
    printf "$format\n" "$@" >&2
    exit 1
}

usage() {
    cat <<'USAGE'
_("Usage: ./bootstrap.sh [--offline] [--wheelhouse DIR]")

_("  --wheelhouse DIR  also take packages from this folder")
_("  --offline         use no network; needs --wheelhouse DIR")

_("To fill the folder: venv/bin/pip download -r requirements.txt -d DIR")
USAGE
}

offline=
wheelhouse=
while [ $# -gt 0 ]; do
    case $1 in
    --offline) offline=yes ;;
    --wheelhouse)
        [ -d "${2-}" ] || die _sh("--wheelhouse %s: there is no such folder.") "${2-}"
        wheelhouse=$(cd "$2" && pwd)
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

cd "$(dirname "$0")"
log=var/log/bootstrap.log
lock=var/bootstrap.pid
stamp=venv/bootstrap.stamp

#: step TEXT COMMAND...: runs a command, with a dot each second; where it fails, its last words.
step() {
    printf '%s ' "$1"
    text=$1
    shift
    (while sleep 1 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do printf .; done) &
    dots=$!
    status=0
    "$@" >"$log" 2>&1 || status=$?
    kill "$dots"
    wait "$dots" 2>/dev/null || true
    echo
    [ $status = 0 ] && return
    tail -n 5 "$log" >&2
    if grep -q -e 'No space left' -e 'ENOSPC' -e 'disk is full' "$log"; then
        die _sh("There is no space left on the disk of %s: free some and run ./bootstrap.sh again.") "$PWD"
    fi
    die _sh("It failed: \"%s\". The lines above tell why (all of them: %s). Then run ./bootstrap.sh again.") "$text" "$log"
}

cannot_write() {
    die _sh("%s cannot be written: free some space, or make this folder yours (chown).") "$PWD/$1"
}

take_lock() {
    mkdir -p var/log 2>/dev/null || true
    #: A symbolic link is made in one go or not at all: of two runs, one gets it.
    until ln -s $$ "$lock" 2>/dev/null; do
        other=$(readlink "$lock") || cannot_write "$lock"
        if kill -0 "$other" 2>/dev/null; then
            die _sh("Another ./bootstrap.sh is at work here (pid %s): wait for it. If there is none, remove %s.") "$other" "$PWD/$lock"
        fi
        rm -f "$lock"
    done
    trap 'rm -f "$lock"' EXIT
    trap 'exit 130' INT TERM HUP
}

find_python() {
    for python in python3 python3.14 python3.13 python3.12 python3.11 python3.10; do
        python=$("$python" -c 'import sys, venv; print(sys.version_info >= (3, 10) and sys.executable or 1 / 0)' 2>/dev/null) && return
    done
    die _sh("Python 3.10 or later is needed and was not found. On Debian or Ubuntu: sudo apt install python3 python3-venv")
}

check_ports() {
    pid=$(cat var/supervisord.pid 2>/dev/null) && kill -0 "$pid" 2>/dev/null && return
    sed -n 's|^socket = tcp://||p; s|^port = ||p' deploy/supervisord.conf | while read -r address; do
        "$python" - "$address" <<'PYTHON' || die _sh("%s cannot be used (the reason is above): stop the program that listens there, or change the port in deploy/supervisord.conf.") "$address"
import socket, sys
host, port = sys.argv[1].split(":")
probe = socket.socket()
probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
try:
    probe.bind((host, int(port)))
except OSError as error:
    sys.exit(error.strerror)
PYTHON
    done
}

#: What the venv was made from: where it stands, its Python, the requirements.
venv_made_from() {
    pwd
    venv/bin/python -c 'import sys; print(*sys.version_info[:2])' 2>/dev/null || echo "no python"
    cksum <requirements.txt
}

check_space() {
    free=$(df -Pk . | awk 'NR == 2 { print $4 }')
    [ "$free" -ge 150000 ] ||
        die _sh("The disk of %s has %s MB free and the site needs 150: free some and run ./bootstrap.sh again.") "$PWD" $((free / 1000))
}

make_venv() {
    set -- --require-hashes -r requirements.txt ${wheelhouse:+--find-links "$wheelhouse"} ${offline:+--no-index}
    if command -v uv >/dev/null; then
        [ -d venv ] || step _sh("Making the venv (uv)") uv venv --no-project --python "$python" venv
        step _sh("Installing the requirements (uv)") uv pip install --no-deps --python venv/bin/python --compile-bytecode "$@"
        return
    fi
    #: The requirements are complete: pip need not look for more (--no-deps).
    set -- install --no-deps --no-compile --no-input --disable-pip-version-check "$@"
    if "$python" -m pip --python "$python" --version >/dev/null 2>&1; then
        #: This Python's own pip fills the venv, and installs a pip there too.
        [ -d venv ] || step _sh("Making the venv") "$python" -m venv --without-pip venv
        step _sh("Installing the requirements") "$python" -m pip --python venv/bin/python "$@"
    else
        [ -d venv ] || make_venv_with_pip
        step _sh("Installing the requirements") venv/bin/python -m pip "$@"
    fi
    #: All processors compile, faster than pip; its own modules can wait for their day.
    step _sh("Compiling the packages") venv/bin/python -m compileall -q -j 0 -x /pip/ venv/lib
}

make_venv_with_pip() {
    if "$python" -c 'import ensurepip' 2>/dev/null; then
        step _sh("Making the venv") "$python" -m venv venv
    elif command -v virtualenv >/dev/null; then
        step _sh("Making the venv (virtualenv)") virtualenv --python "$python" venv
    else
        die _sh("%s can make no venv with pip. On Debian or Ubuntu: sudo apt install python3-venv") "$python"
    fi
}

#: secret FILE TEXT: a file for its owner alone, whole or not at all.
secret() {
    (umask 077 && printf '%s\n' "$2" >"$1.new" && mv "$1.new" "$1") || cannot_write "$1"
}

random() {
    venv/bin/python -c 'import secrets; print(secrets.token_urlsafe(48))'
}

take_lock
find_python
check_ports
if [ "$(venv_made_from)" != "$(cat $stamp 2>/dev/null)" ]; then
    check_space
    #: A venv that is half-made, moved or of another Python is made anew; one with other requirements is brought up to date.
    [ "$(venv_made_from | head -n 2)" = "$(head -n 2 $stamp 2>/dev/null)" ] || rm -rf venv
    rm -f $stamp
    make_venv
    #: supervisord finds its config next to its venv, and deploy/supervisor_plugin.py on Python's path.
    ln -sf ../deploy/supervisord.conf venv/supervisord.conf
    for packages in venv/lib/python3.*/site-packages; do
        echo ../../../../deploy >"$packages/deploy.pth"
    done
    venv_made_from >venv/stamp.new && mv venv/stamp.new $stamp
fi
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
if [ ! -f var/db.sqlite3 ] || ! venv/bin/python manage.py migrate --check >"$log" 2>&1; then
    step _sh("Preparing the database") venv/bin/python manage.py migrate --no-input
fi
if [ ! -f var/static/staticfiles.json ] || [ "$(find pages/static $stamp -newer var/static/staticfiles.json)" ]; then
    step _sh("Collecting the static files") venv/bin/python manage.py collectstatic --no-input
fi

cat <<'NEXT'
_("Everything is in place.")

  venv/bin/supervisord              _("start the site:") http://{{ cookiecutter.bind }}/
  venv/bin/supervisorctl status     _("look at it")
  venv/bin/supervisorctl shutdown   _("stop it")
{%- if cookiecutter.web_interface != "off" %}

_("Web interface:") http://{{ cookiecutter.web_interface }}/ _("(user: admin; password: in deploy/web_interface.conf)")
{%- endif %}
NEXT
