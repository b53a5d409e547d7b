"""_("Logs who tries passwords at supervisord's web interface.")"""

from supervisor.http import supervisor_auth_handler
from supervisor.loggers import LevelsByName
from supervisor.medusa.auth_handler import auth_handler


def log_failed_logins(supervisord):
    """_("One line in supervisord's log for each wrong password, with the address.")"""

    def handle_unauthorized(self, request):
        #: A browser asks without a password first. supervisorctl comes by a UNIX socket, without an address.
        if request.get_header("Authorization") and request.channel.addr:
            text = _py("Failed login to the web interface from {address}")
            text = text.format(address=request.channel.addr[0])
            supervisord.options.logger.log(LevelsByName.WARN, text)
        auth_handler.handle_unauthorized(self, request)

    supervisor_auth_handler.handle_unauthorized = handle_unauthorized
