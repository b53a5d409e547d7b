"""_("What passes from the shell that starts a command or supervisord: these variables, and no other.")"""

import os
from fnmatch import fnmatchcase

#: For all: the folders of this machine, its terminal, its proxy and its certificates
SITE = """
    PATH HOME TMPDIR TERM
    HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy
    SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE
"""
#: For pip and uv too: how this machine finds them, where it gets packages, and where it keeps them
PACKAGES = """
    PYENV_ROOT PYENV_VERSION XDG_CONFIG_HOME XDG_CONFIG_DIRS
    XDG_CACHE_HOME NETRC UV_CACHE_DIR PIP_CACHE_DIR
    PIP_CONFIG_FILE PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_FIND_LINKS PIP_NO_INDEX
    PIP_TRUSTED_HOST PIP_PROXY PIP_CERT PIP_CLIENT_CERT PIP_KEYRING_PROVIDER
    PIP_*TIMEOUT PIP_RETRIES
    UV_CONFIG_FILE UV_DEFAULT_INDEX UV_INDEX* UV_EXTRA_INDEX_URL UV_FIND_LINKS
    UV_NO_INDEX UV_INSECURE_HOST UV_NATIVE_TLS UV_SYSTEM_CERTS UV_KEYRING_PROVIDER
    UV_HTTP_*
"""
#: For the commands, which start all of these; and for ssh, where it finds the keys
COMMANDS = SITE + PACKAGES + "SSH_AUTH_SOCK"
#% if cookiecutter.database == "postgresql"
#: And for PostgreSQL's programs: where this machine's server listens
COMMANDS += " PGHOST PGPORT"
#% endif


def passes(name, variables):
    return any(fnmatchcase(name, each) for each in variables.split())


def keep(variables):
    """_("Removes the others. The locale is the server's everywhere.")"""
    for name in [name for name in os.environ if not passes(name, variables)]:
        del os.environ[name]
    os.environ["LANG"] = "C.UTF-8"
