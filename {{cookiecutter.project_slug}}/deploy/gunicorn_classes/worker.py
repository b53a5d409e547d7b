"""_("gunicorn's plain worker (sync), with threads; deploy/gunicorn.conf.py names it.")"""

#: Why not gunicorn's own threads (gthread): its worker takes in connections while all its threads are busy, and they wait although another worker has time; it costs a fifth more of a processor, and takes a slow visitor for a request that hangs.

import errno
import math
import os
import select
import socket
import struct
import sys
import threading
import time
import traceback
from contextlib import suppress

from gunicorn.workers.sync import SyncWorker

#: What a visitor gets whose request hangs
GIVEN_UP = _py("The site does not answer. Please try again in a moment.")

#: A visitor who sends or takes nothing for so long is let go.
SILENCE_SECONDS = 60


class Visitor(socket.socket):
    """_("A connection that knows since when the application keeps its visitor waiting.")"""

    #: What it asks for, once that is known; what of the answer is still to be sent; and whether some of it is
    request = "-"
    unsent = None
    answered = False

    def __init__(self, listener):
        accepted, self.address = listener.accept()
        super().__init__(
            accepted.family, accepted.type, accepted.proto, accepted.detach()
        )
        self.waiting_since = time.monotonic()
        seconds = struct.pack("ll", SILENCE_SECONDS, 0)  # struct timeval: socket(7)
        for limit in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self.setsockopt(socket.SOL_SOCKET, limit, seconds)

    def recv(self, *arguments):
        return self.wait_for_it(super().recv, *arguments)

    def send(self, data):
        return self.wait_for_it(super().send, data)

    def sendall(self, data):
        """_("Keeps the headers until the body follows, and sends both at once.")"""
        #: If gunicorn is killed, a proxy asks again, but not once it has got the headers.
        if self.unsent is None:
            self.unsent = data
        else:
            self.flush(data)

    def flush(self, data=b""):
        data, self.unsent = (self.unsent or b"") + data, b""
        if data:
            self.answered = True
            self.wait_for_it(super().sendall, data)

    def shutdown(self, how):
        """_("gunicorn does so at the end of each answer.")"""
        self.flush()
        super().shutdown(how)

    def wait_for_it(self, method, *arguments):
        """_("Meanwhile the application waits, not the visitor.")"""
        self.waiting_since = math.inf
        try:
            return method(*arguments)
        except BlockingIOError:
            text = f"{self.address}: silent for {SILENCE_SECONDS} s"
            raise ConnectionResetError(errno.ECONNRESET, text) from None
        finally:
            self.waiting_since = time.monotonic()

    def give_up(self):
        """_("The application has no answer: a proxy that got none at all would ask again.")"""
        with suppress(OSError):
            if not self.answered:
                self.unsent = (
                    b"HTTP/1.1 503 Service Unavailable\r\n"
                    b"Content-Type: text/plain; charset=utf-8\r\n"
                    b"Connection: close\r\n"
                    b"\r\n" + GIVEN_UP.encode()
                )
            self.shutdown(socket.SHUT_RDWR)
        self.waiting_since = -math.inf


class Worker(SyncWorker):
    """_("Each thread takes in a connection, answers it, and closes it.")"""

    def load_wsgi(self):
        super().load_wsgi()
        self.application, self.wsgi = self.wsgi, self.call

    def run(self):
        """_("The main thread: it starts the others, shows that the worker lives, and ends it.")"""
        [self.listener] = self.sockets
        self.listener.setblocking(False)
        #: Seconds that a thread waits for a request. Linux hands over a connection when that is there: browsers open some that they do not use.
        self.patience = 2
        is_tcp = self.listener.family == socket.AF_INET
        if is_tcp and hasattr(socket, "TCP_DEFER_ACCEPT"):
            self.listener.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, SILENCE_SECONDS
            )
            self.patience = 0.1
        #: The visitor of each thread that has one
        self.visitors = {}
        #: Held by the thread that waits for the next one
        self.turn = threading.Lock()
        #: Readable once the worker ends
        self.end, end = os.pipe()
        for _ in range(self.cfg.threads):
            threading.Thread(target=self.serve, daemon=True).start()
        #: wait() shows the sign of life; a signal wakes it.
        self.wait_fds = [self.PIPE[0]]
        while self.alive and self.is_parent_alive() and not self.hung():
            self.wait(1)
        self.give_hung_up()
        self.alive = False
        os.close(end)
        #: Requests in progress end; a new supervisord may need the port meanwhile.
        with self.turn:
            self.listener.close()
        deadline = time.monotonic() + self.cfg.graceful_timeout
        while len(self.visitors) > len(self.hung()) and time.monotonic() < deadline:
            self.notify()
            time.sleep(0.02)
        #: Those whose time came meanwhile
        self.give_hung_up()

    def serve(self):
        thread = threading.get_ident()
        try:
            while visitor := self.next_visitor(thread):
                if select.select([visitor], [], [], self.patience)[0]:
                    self.handle(visitor, visitor, visitor.address)
                visitor.close()
                del self.visitors[thread]
        finally:
            #: A thread that fails ends the worker, and gunicorn starts another.
            self.alive = False

    def next_visitor(self, thread):
        """_("Waits for a connection, one thread at a time.")"""
        #: It wakes sooner where nothing else is at work: of several workers, an idle one accepts.
        with self.turn:
            while self.alive:
                select.select([self.listener, self.end], [], [])
                try:
                    self.visitors[thread] = Visitor(self.listener)
                    return self.visitors[thread]
                except (BlockingIOError, ConnectionAbortedError):
                    continue

    def call(self, environ, start_response):
        """_("The application as gunicorn calls it.")"""
        environ["wsgi.multithread"] = True
        if environ["REMOTE_ADDR"] in self.cfg.forwarded_allow_ips:
            #: Of a list, the last is the address that the proxy itself has seen.
            client = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")[-1].strip()
            if client:
                environ["REMOTE_ADDR"], environ["deploy.proxy"] = client, True
        visitor = self.visitors[threading.get_ident()]
        visitor.request = f"{environ['REQUEST_METHOD']} {environ['RAW_URI']}"
        response = self.application(environ, start_response)
        if environ["REQUEST_METHOD"] == "HEAD":
            #: Django leaves the body in; gunicorn would complain.
            response.close()
            return ()
        return response

    def hung(self):
        """_("The threads whose visitors have waited for too long, and these.")"""
        #: gunicorn's own timeout is for the worker as a whole.
        limit = time.monotonic() - self.cfg.timeout
        return [
            (thread, visitor)
            for thread, visitor in self.visitors.copy().items()
            if visitor.waiting_since < limit
        ]

    def give_hung_up(self):
        """_("Each once.")"""
        stacks = sys._current_frames()
        for thread, visitor in self.hung():
            if visitor.waiting_since == -math.inf:
                continue
            stack = "".join(traceback.format_stack(stacks.get(thread)))
            self.log.critical(
                _py("This request hangs, and its worker ends: %s"),
                f"{visitor.request}\n{stack}",
            )
            visitor.give_up()
