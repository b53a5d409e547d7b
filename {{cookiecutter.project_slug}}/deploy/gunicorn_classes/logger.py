"""_("How gunicorn writes each request into the log; deploy/gunicorn.conf.py names it.")"""

import logging
import sys
import time
from datetime import datetime
from json import dumps as quote
from zoneinfo import ZoneInfo

from gunicorn.glogging import Logger as GunicornLogger

#: All logs show the machine's time, as nginx and supervisord do. Django has changed that of its process to TIME_ZONE.
try:
    with open("/etc/localtime", "rb") as file:
        MACHINE_ZONE = ZoneInfo.from_file(file)
except OSError:
    MACHINE_ZONE = ZoneInfo("UTC")


def machine_time(seconds):
    """_("As time.localtime() would give it.")"""
    moment = datetime.fromtimestamp(seconds, MACHINE_ZONE)
    offset = int(moment.utcoffset().total_seconds())
    return time.struct_time((*moment.timetuple(), moment.tzname(), offset))


logging.Formatter.converter = staticmethod(machine_time)


class Logger(GunicornLogger):
    """_("Looks up nothing that the line does not show: gunicorn's own costs a tenth of a page.")"""

    def access(self, response, request, environ, request_time):
        """_("The combined format of Apache and nginx.")"""
        #: What a proxy has passed on, it has logged itself.
        if "deploy.proxy" in environ:
            return
        #: Quoted as JSON: what a visitor sends cannot end its field, nor give orders to a terminal.
        words = (
            environ["REMOTE_ADDR"],
            "- -",
            time.strftime("[%d/%b/%Y:%H:%M:%S %z]", machine_time(time.time())),
            quote("{REQUEST_METHOD} {RAW_URI} {SERVER_PROTOCOL}".format_map(environ)),
            (response.status or "-")[:3],
            str(response.sent),
            quote(environ.get("HTTP_REFERER", "-")),
            quote(environ.get("HTTP_USER_AGENT", "-")),
        )
        sys.stdout.write(" ".join(words) + "\n")
