"""_("Settings of the site. What differs between machines comes from the environment or .env.")"""

import logging
import os
#% if cookiecutter.tasks == "celery"
import ssl
#% endif
from importlib.util import find_spec
from pathlib import Path

#% if cookiecutter.tasks == "celery"
from celery.schedules import crontab
#% endif
from csp.constants import NONE, SELF
from django.core.files.storage import FileSystemStorage

from .dot_env import DotEnv

BASE_DIR = Path(__file__).resolve().parent.parent
#: On a server each release has a folder of its own, whose name tells it.
RELEASE = BASE_DIR.name

env = DotEnv(BASE_DIR / ".env")

SECRET_KEY = env("SECRET_KEY")
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[])
#: Safe unless said otherwise: a server that forgets its .env sends visitors to https.
HTTPS = env.bool("HTTPS", default=True)

SITE_NAME = {{ cookiecutter.project_name | python }}
SITE_DESCRIPTION = {{ cookiecutter.description | python }}

#: How mails leave: EMAIL_HOST and the like
globals().update(env.email("EMAIL_URL"))
#% if cookiecutter.tasks == "celery"
#: A task sends them.
DIRECT_EMAIL_BACKEND = globals()["EMAIL_BACKEND"]
EMAIL_BACKEND = "{{ cookiecutter.project_slug }}.queued_mails.EmailBackend"
#% endif
#: A mail server that says nothing holds a page no longer; well below the timeout of gunicorn.
EMAIL_TIMEOUT = 10
#: Who is told of errors and of what dies; and from whom mails come
ADMINS = env.addresses("ADMINS")
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env(
    "DEFAULT_FROM_EMAIL",
    default={{ cookiecutter.email | python }},
)

INSTALLED_APPS = [
    "pages",
    "accounts",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "csp",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_permissions_policy.PermissionsPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

#: What a page has cost, beside the page: where ./bootstrap.sh --dev has put it, and never without DEBUG.
if DEBUG and find_spec("debug_toolbar"):
    INSTALLED_APPS.append("debug_toolbar")
    MIDDLEWARE.insert(0, "debug_toolbar.middleware.DebugToolbarMiddleware")
    INTERNAL_IPS = ["127.0.0.1"]
    #: Open, it hides a part of the page: a tab opens it.
    DEBUG_TOOLBAR_CONFIG = {"SHOW_COLLAPSED": True}

ROOT_URLCONF = "{{ cookiecutter.project_slug }}.urls"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

#: What the site writes is for itself and its group: the database holds its visitors' data. What visitors may read gets its own rights: static files and uploads, and their folders.
os.umask(0o027)
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o755

#% if cookiecutter.database == "postgresql"
DATABASES = {
    "default": {
        **env.database("DATABASE_URL"),
        #: A connection for each request would cost more than the queries; one that the server has closed meanwhile is opened anew. No pool of Django's ("pool" in OPTIONS): what a master opens before it forks, two workers would share.
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
    }
}
#: Each process has its own, unless several servers share the site: dbcache://cache
CACHES = {"default": env.cache("CACHE_URL", default="locmemcache://")}
#% else
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": BASE_DIR / "var" / "db.sqlite3",
        #: Opening the file anew for each request costs more than the queries.
        "CONN_MAX_AGE": 600,
        "OPTIONS": {
            #: The three go together. WAL: readers and a writer do not wait for each other. NORMAL: safe with WAL, and faster. IMMEDIATE: writers queue up instead of failing with "database is locked".
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            "transaction_mode": "IMMEDIATE",
            #: Seconds to wait for another writer; then the visitor is asked to come again. Two waits end before gunicorn calls it a hang.
            "timeout": 5,
        },
    }
}
#% endif
#% if cookiecutter.tasks == "celery"
#: Tasks: what Celery's manual calls broker_url is CELERY_BROKER_URL here, and so on.
VAR = (BASE_DIR / "var").resolve()
CELERY_BROKER_URL = env.broker("BROKER_URL", f"redis+socket://{VAR}/redis.sock")
#: By TLS, it must show a certificate of its name: by itself, Celery takes any.
if CELERY_BROKER_URL.startswith("rediss:"):
    CELERY_BROKER_USE_SSL = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
CELERY_BROKER_TRANSPORT_OPTIONS = {
    #: Seconds: a page that queues a task asks a broker that does not answer twice.
    "socket_connect_timeout": 0.6,
    "socket_timeout": 0.6,
    #: Seconds after which a task is done again whose worker was killed, and its machine with it. More than a task may take.
    "visibility_timeout": 900,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0}
#: A task leaves the queue when it is done, not when it has begun: none is lost with its process.
CELERY_TASK_ACKS_LATE = CELERY_TASK_REJECT_ON_WORKER_LOST = True
#: The worker takes as many as it does at a time.
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CONCURRENCY = 2
#: At a stop, a task has this many seconds to end; then it goes back to the queue.
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 20
#: One that takes longer fails, and the log has its place; where it does not heed that, its process is ended.
CELERY_TASK_SOFT_TIME_LIMIT = 300
CELERY_TASK_TIME_LIMIT = 330
#: A process is replaced after so many tasks, or once it has grown to this (KiB).
CELERY_WORKER_MAX_TASKS_PER_CHILD = 1_000
CELERY_WORKER_MAX_MEMORY_PER_CHILD = 300_000
#: Within so many seconds a new one must be up, or it is ended. While the worker looks for its broker, it does not hear of it.
CELERY_WORKER_PROC_ALIVE_TIMEOUT = 60
#: What a task returns is nobody's, unless it says so itself.
CELERY_TASK_IGNORE_RESULT = True
#: Their log is the site's: errors are mailed.
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
#: What beat queues, and when
CELERY_BEAT_SCHEDULER = "{{ cookiecutter.project_slug }}.beat:Scheduler"
CELERY_BEAT_SCHEDULE_FILENAME = VAR / "beat"
CELERY_BEAT_MAX_LOOP_INTERVAL = 10
CELERY_BEAT_SCHEDULE = {
    "clear_sessions": {
        "task": "pages.tasks.clear_sessions",
        "schedule": crontab(hour=3, minute=47),
    },
}

#% endif
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "accounts.User"
#: The site has no other login form yet.
LOGIN_URL = "admin:login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

LANGUAGE_CODE = "{{ cookiecutter.language }}"
TIME_ZONE = "{{ cookiecutter.time_zone }}"
#% if cookiecutter.tasks == "celery"
CELERY_TIMEZONE = TIME_ZONE
#% endif
USE_TZ = True

#: Each file gets a name with its fingerprint: browsers keep it for ever, a change is seen at once.
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "var" / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage",
        "OPTIONS": {
            #: Which fingerprint is this release's; the files of the others stay, for pages that are open in browsers.
            "manifest_storage": FileSystemStorage(STATIC_ROOT / "manifests" / RELEASE),
        },
    },
}

#: What is uploaded. nginx sends it to visitors; on a laptop, urls.py does.
MEDIA_URL = "media/"
MEDIA_ROOT = BASE_DIR / "var" / "media"

#: The proxy says by X-Forwarded-Proto how the visitor came; gunicorn passes it on.
SECURE_SSL_REDIRECT = HTTPS
#: A health check comes from this very machine, by http.
SECURE_REDIRECT_EXEMPT = [r"^healthz$"{% if cookiecutter.tasks == "celery" %}, r"^queuez$"{% endif %}]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
#: Browsers that came by https once come by https for a year.
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SILENCED_SYSTEM_CHECKS = [
    #: HSTS for subdomains and its preload list bind names that are not this site's, for years.
    "security.W005",
    "security.W021",
]
#: Pages load nothing from elsewhere and run no script of their own text.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
PERMISSIONS_POLICY = {
    feature: [] for feature in ("camera", "geolocation", "microphone", "payment", "usb")
}


def in_one_line(record):
    """_("Makes a warning without a traceback of what is a visitor's fault.")"""
    record.exc_info, record.levelno, record.levelname = None, logging.WARNING, "WARNING"
    return True


#: Everything goes to standard error, which supervisord keeps in var/log; errors are mailed to ADMINS, too.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "format": "%(asctime)s %(levelname)s %(name)s: %(message)s",
            "datefmt": "%Y-%m-%d %H:%M:%S %z",
        }
    },
    "filters": {
        "in_one_line": {
            "()": "django.utils.log.CallbackFilter",
            "callback": in_one_line,
        },
        "without_debug": {"()": "django.utils.log.RequireDebugFalse"},
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "line"},
        "mails": {
            "class": "{{ cookiecutter.project_slug }}.error_mails.ErrorMails",
            "level": "ERROR",
            "filters": ["without_debug"],
            "formatter": "line",
        },
    },
    "root": {"handlers": ["console", "mails"], "level": "INFO"},
    "loggers": {
        "django": {"handlers": ["console", "mails"], "propagate": False},
        "django.security.DisallowedHost": {"filters": ["in_one_line"]},
        "django.security.RequestDataTooBig": {"filters": ["in_one_line"]},
        "django.security.TooManyFieldsSent": {"filters": ["in_one_line"]},
    },
}
