"""_("Keeps the pages of other sites away from supervisord's web interface.")

[rpcinterface:same_origin]
supervisor.rpcinterface_factory = supervisor_plugin.same_origin:make_rpcinterface
"""

#: A browser sends the login that it remembers along with every request, also with one that a page of another site makes: a link to index.html?action=stopall would stop everything.

import functools
import socket
from urllib.parse import parse_qs

from supervisor import events

REFUSAL = (
    _py("Refused: this request does not come from the pages of the web interface.")
    + "\n"
    + _py("Open the interface yourself: type its IP address and port into the browser.")
    + "\n"
).encode()


class SameOriginHandler:
    """_("Stands before the handlers of an HTTP server and answers what none of them may see.")"""

    def __init__(self, server):
        self.server = server

    def match(self, request):
        """_("Whether this handler shall answer. The server asks it about every request.")"""
        #: Nor may another site show the interface in a frame, and lure the visitor's clicks there.
        request["X-Frame-Options"] = "DENY"
        if not self.has_own_name(request):
            return True
        source = source_of(request)
        return source == "other" or (source == "unknown" and is_command(request))

    def has_own_name(self, request):
        """_("Another site's name can lead here too: its owner decides (DNS rebinding).")"""
        name = (request.get_header("Host") or "").partition(":")[0]
        is_address = name.replace(".", "").isdigit()
        return "." not in name or is_address or name == self.server.server_name

    def handle_request(self, request):
        request.reply_code = 403
        request["Content-Type"] = "text/plain; charset=utf-8"
        request["Content-Length"] = len(REFUSAL)
        request["Connection"] = "close"
        request.push(REFUSAL)
        #: What follows is the rest of this request, never another one.
        request.channel.set_terminator(None)
        request.done()
        request.channel.close_when_done()


def source_of(request):
    """_("Where the browser says that a request comes from: itself, other or unknown.")"""
    #: Sent to this machine's own addresses and over https. none: typed, or a bookmark.
    site = request.get_header("Sec-Fetch-Site")
    if site:
        return {"same-origin": "itself", "none": "unknown"}.get(site, "other")
    #: Sent with every POST (Origin), and with most other requests (Referer).
    address = request.get_header("Origin") or request.get_header("Referer")
    if not address:
        return "unknown"
    own = f"http://{request.get_header('Host')}/"
    return "itself" if f"{address}/".startswith(own) else "other"


def is_command(request):
    """_("Whether a page of the interface would do something, as its buttons do.")"""
    query = request.split_uri()[2] or ""
    return "action" in parse_qs(query[1:])


#: supervisord calls it once for each of its HTTP servers; once is enough.
@functools.lru_cache(maxsize=1)
def make_rpcinterface(supervisord):
    """_("Called before the HTTP servers are known; they read no request before the event.")"""

    def install(event):
        for config, server in supervisord.options.httpservers:
            #: No browser reaches a UNIX socket.
            if config["family"] == socket.AF_INET:
                server.install_handler(SameOriginHandler(server))

    events.subscribe(events.SupervisorRunningEvent, install)
    #: Its methods would become commands; it has none.
    return object()
