"""_("Shows a log whatever stands in it, where supervisord fails over half a letter or over a color; and the time zone in its own.")"""

import codecs
import re
import time

from supervisor import http, loggers, options, rpcinterface

#: What XML cannot hold, and what a terminal would obey.
CONTROL = re.compile("[^\t\n\r -~\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
REPLACEMENT = "\ufffd"


def readable(log):
    """_("A piece of a log as text.")"""
    return CONTROL.sub(REPLACEMENT, log.decode(errors="replace"))


class ReadableTail(http.tail_f_producer):
    """_("tail -f: a letter may come in two pieces.")"""

    def _open(self):
        super()._open()
        self.decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def more(self):
        while isinstance(piece := super().more(), bytes) and piece:
            if text := self.decoder.decode(piece):
                return CONTROL.sub(REPLACEMENT, text).encode()
        #: The end, or a word about a log that was emptied.
        return piece.encode() if isinstance(piece, str) else piece


class ZonedRecord(loggers.LogRecord):
    """_("A line of supervisord's own log.")"""

    def asdict(self):
        fields = super().asdict()
        return {**fields, "asctime": fields["asctime"] + time.strftime(" %z")}


def make_logs_readable():
    """_("For supervisorctl tail and maintail, for the web interface, and in supervisord.log.")"""
    rpcinterface.as_string = options.as_string = readable
    http.tail_f_producer = ReadableTail
    loggers.LogRecord = ZonedRecord
