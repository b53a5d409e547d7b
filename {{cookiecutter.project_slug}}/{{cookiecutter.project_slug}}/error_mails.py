"""_("Tells ADMINS of errors: what goes to the log as ERROR is put into var/mails, and deploy/server/ sends it. So no page waits for a mail server.")"""

import hashlib
import logging
import traceback
from pathlib import Path

from django.core import mail

from deploy.server import mails

BASE_DIR = Path(__file__).resolve().parent.parent


class ErrorMails(logging.Handler):
    """_("The mail has what the log has: no form, no cookie and no variable of a visitor's.")"""

    def emit(self, record):
        #: Tests make errors on purpose; Django gives them this box.
        if hasattr(mail, "outbox"):
            return
        try:
            text = self.format(record)
            subject = f"{record.levelname} {record.getMessage()}"[:200]
            place = hashlib.sha256(where(record).encode()).hexdigest()[:16]
            mails.put(BASE_DIR / "var", subject, text, f"error-{place}")
        except (OSError, LookupError, TypeError, ValueError):
            self.handleError(record)


def where(record):
    """_("What makes an error the same as another: its kind, and the last line of the site's code on its way.")"""
    if not record.exc_info:
        return f"{record.pathname}:{record.lineno}"
    kind, _, trace = record.exc_info
    lines = [
        f"{frame.f_code.co_filename}:{line}" for frame, line in traceback.walk_tb(trace)
    ]
    own = [line for line in lines if is_own(line)]
    return f"{kind} {(own or lines or ['?'])[-1]}"


def is_own(line):
    return line.startswith(str(BASE_DIR)) and "/site-packages/" not in line
