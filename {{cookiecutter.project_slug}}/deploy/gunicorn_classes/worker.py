"""_("gunicorn's threaded worker, and what it lacks; deploy/gunicorn.conf.py names it.")"""

import os
import sys
import threading
import time
import traceback

from gunicorn.workers.gthread import ThreadWorker

#: The worker of a hung request gives its other requests this long to end.
GRACE_SECONDS = 5


class Worker(ThreadWorker):
    """_("Ends when a request hangs, frees the port when it stops, and knows the visitor's address.")"""

    def load_wsgi(self):
        super().load_wsgi()
        self.application, self.wsgi = self.wsgi, self.call
        #: The thread of each request in progress: when it began, and what it asks for.
        self.calls = {}

    def run(self):
        threading.Thread(target=self.watch, daemon=True).start()
        super().run()

    def call(self, environ, start_response):
        """_("The application as gunicorn calls it: all but the sending of the response.")"""
        if environ["REMOTE_ADDR"] in self.cfg.forwarded_allow_ips:
            #: Of a list, the last is the address that the proxy itself has seen.
            client = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")[-1].strip()
            environ["REMOTE_ADDR"] = client or environ["REMOTE_ADDR"]
        request = f"{environ['REQUEST_METHOD']} {environ['RAW_URI']}"
        thread = threading.get_ident()
        self.calls[thread] = time.monotonic(), request
        try:
            return self.application(environ, start_response)
        finally:
            del self.calls[thread]

    def watch(self):
        """_("gunicorn's timeout is for the worker as a whole; here, for each request.")"""
        hung = []
        while not hung:
            time.sleep(1)
            limit = time.monotonic() - self.cfg.timeout
            hung = [
                (thread, request)
                for thread, (start, request) in self.calls.copy().items()
                if start < limit
            ]
        stacks = sys._current_frames()
        for thread, request in hung:
            stack = "".join(traceback.format_stack(stacks.get(thread)))
            self.log.critical(
                _py("This request hangs, and its worker ends: %s"),
                f"{request}\n{stack}",
            )
        self.alive = False
        time.sleep(GRACE_SECONDS)
        #: A plain exit would wait for the thread that hangs.
        os._exit(1)

    def set_accept_enabled(self, enabled):
        super().set_accept_enabled(enabled)
        #: A worker that stops may have requests to end: meanwhile a new supervisord needs the port.
        if not enabled and not self.alive:
            for listener in self.sockets:
                listener.close()
