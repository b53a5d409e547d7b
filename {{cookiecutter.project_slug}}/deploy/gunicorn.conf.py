"""_("Settings of gunicorn; each of the two masters that supervisord runs reads them.")"""

import gc
import io
import os
import signal
import sys
from wsgiref.handlers import SimpleHandler
from wsgiref.util import setup_testing_defaults

wsgi_app = "{{ cookiecutter.project_slug }}.wsgi"

#: The listening socket comes from supervisord, as standard input.
bind = "fd://0"

#: Threads: a slow request does not hold up the others. deploy/gunicorn_classes/worker.py says what else.
worker_class = "deploy.gunicorn_classes.worker.Worker"
threads = 4
#: That worker sends files itself: the system's sendfile would overtake the headers, which it holds back.
sendfile = False
#: One worker per processor, shared out between the two masters.
workers = max(1, (os.cpu_count() or 1) // 2)

#: Load Django once, in the master: the workers share its memory and start faster.
preload_app = True

#: Seconds before a worker whose request hangs, or that gives no sign of life, is replaced; and seconds that a request may take to end at a stop.
timeout = 20
graceful_timeout = 30

#% if cookiecutter.database == "postgresql"
#: A query of a page waits 5 seconds for what another has locked, and takes 15 in all (in milliseconds; libpq reads it): then the visitor is asked to come again, before this is a hang. Commands of manage.py have no such limits.
raw_env = ["PGOPTIONS=-c lock_timeout=5000 -c statement_timeout=15000"]

#% endif
#: Replace each worker from time to time, so that a memory leak stays small; not all at once.
max_requests = 10_000
max_requests_jitter = 1_000

#: Workers show their sign of life in memory: on a busy disk it could come late.
if os.path.isdir("/dev/shm"):
    worker_tmp_dir = "/dev/shm"

#: Requests and errors go to the output that supervisord keeps in var/log; each line at once, also what a view prints.
logger_class = "deploy.gunicorn_classes.logger.Logger"
sys.stdout.reconfigure(line_buffering=True)

#: Only a proxy on this machine may say who the visitor is, and that a request came by https. nginx asks from this address, and sets this header: deploy/nginx/site.conf. Another one would be the visitor's word.
forwarded_allow_ips = "127.0.0.1"
secure_scheme_headers = {"X-FORWARDED-PROTO": "https"}

#: gunicorn's own control socket would lie in the home folder, where two sites fight for it.
control_socket_disable = True


def when_ready(server):
    """_("Gives the programs that a page starts an empty standard input.")"""
    #: It was the socket, which has another number by now.
    os.set_inheritable(os.open(os.devnull, os.O_RDONLY), True)


def post_fork(server, worker):
    """_("Heeds a stop that arrives before the worker listens to signals.")"""
    #: The worker would miss it, and its master wait half a minute for its end.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while not server.SIG_QUEUE.empty():
        if server.SIG_QUEUE.get() == signal.SIGTERM:
            sys.exit()


def on_starting(server):
    """_("Asks for the home page itself: the workers share what it loads.")"""
    #: Imported here: the parent-death signal is set before anything of Django loads.
    from django.conf import settings
    from django.db import connections

    def give_up(signal_number, frame):
        raise TimeoutError(_py("The home page hangs."))

    #: By a name of its own, and by https: a plain request may get no more than a redirect.
    host = (settings.ALLOWED_HOSTS or ["localhost"])[0].lstrip(".*") or "localhost"
    request = {"HTTP_HOST": host, "HTTPS": "on"}
    setup_testing_defaults(request)
    home_page = SimpleHandler(io.BytesIO(), io.BytesIO(), sys.stderr, request)
    #: A home page that hangs is logged, as any error in it; the workers start nevertheless.
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(timeout)
    home_page.run(server.app.wsgi())
    signal.alarm(0)
    #: A connection to the database belongs to one process.
    connections.close_all()
    #: Keep all of it out of the garbage collection, which would write into shared memory.
    gc.freeze()
