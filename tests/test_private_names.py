"""Names that nobody promises to us are still there, in the real libraries; CONTRIBUTING.md lists them.

Each comes with an expression that is true as long as the name means what our code takes it for.
"""

import json
import re
import sys
from collections.abc import Callable

import pytest
from support.project import Site
from support.template import read

# What the expressions of a library need, and name → expression.
Probes = tuple[str, dict[str, str]]

# A supervisord that is not started: it has its groups and servers, and runs nothing.
SUPERVISOR: Probes = (
    """
import socket
import inspect
from supervisor import (
    datatypes, events, http, loggers, options, process as processes, rpcinterface, states,
    supervisord as daemon, supervisorctl, xmlrpc,
)
from supervisor.medusa import auth_handler, http_server
from supervisor.socket_manager import SocketManager
from supervisor.supervisord import Supervisor

server_options = options.ServerOptions()
server_options.realize(["-c", "deploy/supervisord.conf"])
server_options.make_logger()
supervisord = Supervisor(server_options)
configs = server_options.process_group_configs
(config,) = [each for each in configs if hasattr(each, "socket_config")]
supervisord.add_process_group(config)
group = supervisord.process_groups[config.name]
process = next(iter(group.processes.values()))
servers = server_options.make_http_servers(supervisord)
(server,) = [server for config, server in servers if config["family"] == socket.AF_INET]
loop = Supervisor.runforever.__code__.co_names
answering = http_server.http_channel.found_terminator.__code__.co_names
client_options = options.ClientOptions()
client_options.realize(["-c", "deploy/supervisord.conf"])
controller = supervisorctl.Controller(client_options)

def notified(kind, *arguments):
    seen = []
    events.subscribe(kind, seen.append)
    events.notify(kind(*arguments))
    return seen[0]

def why_there_is_no_group():
    # The group above has the socket.
    held = group.socket_manager.get_socket()
    try:
        Supervisor(server_options).add_process_group(config)
    except ValueError as error:
        return str(error)

def has(kind, *names):
    return all(hasattr(kind, name) for name in names)

commands = rpcinterface.SupervisorNamespaceRPCInterface

def calls(name, *functions):
    return all(name in inspect.getsource(inspect.unwrap(function)) for function in functions)
""",
    {
        "Supervisor.process_groups": "[*supervisord.process_groups.values()] == [group]",
        "Supervisor.options": "supervisord.options is server_options",
        "group.config.name": "group.config.name.startswith('gu-')",
        "group.get_unstopped_processes": "group.get_unstopped_processes() == []",
        "group.socket_manager.get_socket": "group.socket_manager.get_socket().fileno() > 2",
        "process.group": "process.group is group",
        "process.config.name": "process.config.name.startswith('master-')",
        "Could not create FastCGI socket": (
            "why_there_is_no_group().startswith('Could not create FastCGI socket')"
        ),
        "FastCGISubprocess.spawn": "isinstance(process, processes.FastCGISubprocess)",
        "process.record_spawnerr": "calls('record_spawnerr', processes.Subprocess.spawn)",
        "process.change_state": "calls('change_state', processes.Subprocess.spawn)",
        "socket_manager.config": "group.socket_manager.config() is config.socket_config",
        "SupervisorNamespaceRPCInterface.reloadConfig": (
            "calls('process_config', commands.reloadConfig)"
        ),
        "SupervisorNamespaceRPCInterface.restart": "calls('RESTARTING', commands.restart)",
        "SupervisorNamespaceRPCInterface.supervisord": (
            "commands(supervisord).supervisord is supervisord"
        ),
        "SupervisorNamespaceRPCInterface.stopProcess": (
            "[*inspect.signature(commands.stopProcess).parameters] == ['self', 'name', 'wait']"
        ),
        "RPCError.text": "xmlrpc.RPCError(xmlrpc.Faults.CANT_REREAD).text == 'CANT_REREAD'",
        "Faults.CANT_REREAD": "calls('CANT_REREAD', commands.reloadConfig)",
        "options.process_group_configs": "config in server_options.process_group_configs",
        "options.server_configs": (
            "all('file' in each or {'host', 'port'} <= {*each}"
            " for each in server_options.server_configs)"
        ),
        "options.get_signal": "calls('get_signal', Supervisor.handle_signal)",
        "options.logger.critical": "has(server_options.logger, 'critical')",
        "options.logger.info": "has(server_options.logger, 'info')",
        "group.config.socket_config": "isinstance(config.socket_config, datatypes.SocketConfig)",
        "socket_config.url": "config.socket_config.url.startswith('tcp://')",
        "socket_config.path": "datatypes.UnixStreamSocketConfig('/x').path == '/x'",
        "socket_config.host": "config.socket_config.host == '127.0.0.1'",
        "socket_config.port": "isinstance(config.socket_config.port, int)",
        "socket_config.create_and_bind": "has(config.socket_config, 'create_and_bind')",
        "UnixStreamSocketConfig": "datatypes.UnixStreamSocketConfig('/x').url == 'unix:///x'",
        "InetStreamSocketConfig": "datatypes.InetStreamSocketConfig('', 1).url == 'tcp://:1'",
        "group.config.process_configs": "process.config in config.process_configs",
        "process.config.directory": "process.config.directory.endswith('/..')",
        "Subprocess._spawn_as_child": (
            "calls('_spawn_as_child(filename, argv)', processes.Subprocess.spawn)"
        ),
        "process.config.stopsignal": "process.config.stopsignal == 15",
        "Subprocess.get_execv_args": (
            "processes.Subprocess(process.config).get_execv_args()[0].endswith('gunicorn')"
        ),
        "ProcessException": "issubclass(options.NotFound, options.ProcessException)",
        "rpcinterface._getGroupAndProcess": (
            "commands(supervisord)._getGroupAndProcess(f'{config.name}:{process.config.name}')"
            " == (group, process)"
        ),
        "rpcinterface.isRunning": (
            "calls('isRunning', commands.stopProcessGroup, commands.stopAllProcesses)"
        ),
        "rpcinterface.isNotRunning": (
            "calls('isNotRunning', commands.startProcessGroup, commands.startAllProcesses)"
        ),
        "options.mood": "server_options.mood == states.SupervisorStates.RUNNING",
        "group.processes": "group.processes[process.config.name] is process",
        "process.get_state": "process.get_state() == states.ProcessStates.STOPPED",
        "process.spawn": "has(process, 'spawn')",
        "process.spawnerr": "calls('spawnerr', commands.startProcess, commands.getProcessInfo)",
        "process.config.autorestart": "process.config.autorestart",
        "events.ProcessStateFatalEvent": "states.ProcessStates.FATAL in process.event_map",
        "events.ProcessStateRunningEvent": "states.ProcessStates.RUNNING in process.event_map",
        "events.ProcessStateStoppedEvent": "states.ProcessStates.STOPPED in process.event_map",
        "loggers.LogRecord.asdict": (
            "'asctime' in loggers.LogRecord.asdict.__code__.co_consts"
            " and 'LogRecord' in loggers.Logger.log.__code__.co_names"
        ),
        "rpcinterface.as_string": "calls('as_string', commands.readLog, commands._readProcessLog)",
        "options.as_string": "calls('as_string', options.tailFile)",
        "tail_f_producer._open": (
            "calls('_open', http.tail_f_producer.__init__, http.tail_f_producer._follow)"
        ),
        "tail_f_producer.more": (
            "calls('tail_f_producer', http.logtail_handler.handle_request,"
            " http.mainlogtail_handler.handle_request) and has(http.tail_f_producer, 'more')"
        ),
        "controller.options.serverurl": "client_options.serverurl.startswith('unix:///')",
        "plugin.do_update": "has(client_options.plugins[0], 'do_update')",
        "plugin.do_reload": "has(client_options.plugins[0], 'do_reload')",
        "plugin.do_shutdown": "has(client_options.plugins[0], 'do_shutdown')",
        "options.close_httpservers": "calls('close_httpservers', daemon.main)",
        "events.subscribe": "notified(events.Tick5Event, 5, supervisord).when == 5",
        "events.Tick5Event": "events.Tick5Event in events.TICK_EVENTS",
        "events.ProcessStateEvent": (
            "issubclass(events.ProcessStateStartingEvent, events.ProcessStateEvent)"
        ),
        "events.ProcessStateStartingEvent": (
            "notified(events.ProcessStateStartingEvent, process, 0).process is process"
        ),
        "events.ProcessGroupRemovedEvent": (
            "notified(events.ProcessGroupRemovedEvent, 'name').group == 'name'"
        ),
        "events.SupervisorRunningEvent": "'SupervisorRunningEvent' in loop",
        "events.SupervisorStoppingEvent": "'SupervisorStoppingEvent' in loop",
        "SupervisorStates.RESTARTING": "'RESTARTING' in Supervisor.handle_signal.__code__.co_names",
        "InetStreamSocketConfig.create_and_bind": (
            "'create_and_bind' in SocketManager._prepare_socket.__code__.co_names"
            " and type(config.socket_config).__name__ == 'InetStreamSocketConfig'"
        ),
        "options.poller.poll": "{'poller', 'poll'} <= {*loop} and has(server_options.poller, 'poll')",
        "options.get_socket_map": (
            "'get_socket_map' in loop and server in server_options.get_socket_map().values()"
        ),
        "readable": "'readable' in loop",
        "writable": "'writable' in loop",
        "handle_read_event": "'handle_read_event' in loop",
        "handle_error": "'handle_error' in loop",
        "options.pidhistory": "server_options.pidhistory == {}",
        "options.logger.error": "has(server_options.logger, 'error')",
        "options.httpservers": "'httpservers' in type(server_options).openhttpservers.__code__.co_names",
        "server.install_handler": "has(server, 'install_handler')",
        "server.server_name": "isinstance(server.server_name, str)",
        "handler.match": "'match' in answering",
        "handler.handle_request": "'handle_request' in answering",
        "request.get_header": "has(http.deferring_http_request, 'get_header')",
        "request.split_uri": "has(http.deferring_http_request, 'split_uri')",
        "request.reply_code": "http.deferring_http_request.reply_code == 200",
        "request.__setitem__": "has(http.deferring_http_request, '__setitem__')",
        "request.push": "has(http.deferring_http_request, 'push')",
        "request.done": "has(http.deferring_http_request, 'done')",
        "request.channel": "'channel' in http_server.http_request.__init__.__code__.co_names",
        "channel.set_terminator": "has(http.deferring_http_channel, 'set_terminator')",
        "channel.close_when_done": "has(http.deferring_http_channel, 'close_when_done')",
        "supervisor_auth_handler.handle_unauthorized": (
            "calls('handle_unauthorized', http.supervisor_auth_handler.handle_request)"
            " and has(auth_handler.auth_handler, 'handle_unauthorized')"
        ),
        "channel.addr": "'addr' in http_server.http_channel.__init__.__code__.co_names",
        "options.logger.log": "calls('self.log(LevelsByName.WARN', loggers.Logger.warn)",
        "LevelsByName.WARN": "isinstance(loggers.LevelsByName.WARN, int)",
        "ControllerPluginBase": (
            "issubclass(supervisorctl.DefaultControllerPlugin, supervisorctl.ControllerPluginBase)"
        ),
        "ControllerPluginBase.ctl": "client_options.plugins[0].ctl is controller",
        "controller.options.plugins": "has(controller.options.plugins[0], 'help_restart')",
        "controller.upcheck": "has(controller, 'upcheck')",
        "controller.get_supervisor": "has(controller, 'get_supervisor')",
        "controller.get_server_proxy": "has(controller, 'get_server_proxy')",
        "controller.output": "has(controller, 'output')",
        "controller.stdout": "has(controller.stdout, 'flush')",
        "controller.exitstatus": "isinstance(controller.exitstatus, int)",
        "LSBInitExitStatuses.GENERIC": "supervisorctl.LSBInitExitStatuses.GENERIC == 1",
        "make_namespec": "options.make_namespec('group', 'process') == 'group:process'",
        "RUNNING_STATES": "states.ProcessStates.RUNNING in states.RUNNING_STATES",
        "ProcessStates": "has(states.ProcessStates, 'FATAL', 'RUNNING')",
        "ServerOptions.realize": "server_options.configfile.endswith('supervisord.conf')",
        "ServerOptions.stderr": "has(server_options.stderr, 'write')",
    },
)
GUNICORN: Probes = (
    """
import inspect
from gunicorn import arbiter, glogging
from gunicorn.http import unreader, wsgi
from gunicorn.workers import base, sync

def names(function):
    return function.__code__.co_names

def parameters(function):
    return [*inspect.signature(function).parameters][1:]
""",
    {
        "SyncWorker.load_wsgi": "'load_wsgi' in names(base.Worker.init_process)",
        "SyncWorker.wsgi": "'wsgi' in names(sync.SyncWorker.handle_request)",
        "SyncWorker.run": "parameters(sync.SyncWorker.run) == []",
        "SyncWorker.handle": (
            "parameters(sync.SyncWorker.handle) == ['listener', 'client', 'addr']"
        ),
        "SyncWorker.wait": "{'notify', 'select', 'wait_fds', 'PIPE'} <= {*names(sync.SyncWorker.wait)}",
        "SyncWorker.wait_fds": "'wait_fds' in names(base.Worker.init_process)",
        "SyncWorker.PIPE": "'PIPE' in names(base.Worker.init_signals)",
        "SyncWorker.is_parent_alive": "parameters(sync.SyncWorker.is_parent_alive) == []",
        "SyncWorker.notify": "parameters(base.Worker.notify) == []",
        "SyncWorker.alive": "'alive' in names(base.Worker.__init__)",
        "SyncWorker.cfg": "'cfg' in names(base.Worker.__init__)",
        "SyncWorker.log": "'log' in names(base.Worker.__init__)",
        "SyncWorker.sockets": "'sockets' in names(base.Worker.__init__)",
        "client.recv": "'recv' in names(unreader.SocketUnreader.chunk)",
        "client.send": "'send' in names(wsgi.create)",
        "client.sendall": "'sendall' in inspect.getsource(wsgi.util.write)",
        "Logger.access": (
            "parameters(glogging.Logger.access) == ['resp', 'req', 'environ', 'request_time']"
        ),
        "Response.status": "'status' in names(wsgi.Response.__init__)",
        "Response.sent": "'sent' in names(wsgi.Response.__init__)",
        "RAW_URI": "'RAW_URI' in inspect.getsource(wsgi.default_environ)",
        "Arbiter.app": "'app' in names(arbiter.Arbiter.setup)",
        "Arbiter.SIG_QUEUE": "'SIG_QUEUE' in names(arbiter.Arbiter.signal)",
    },
)
ENVIRON: Probes = (
    "import os\nfrom environ import Env",
    {
        # They ask it for each value.
        "Env.get_value": "all('get_value' in kind.__code__.co_names for kind in (Env.__call__, Env.bool, Env.list))",
        "Env.parse_value": "Env.parse_value('a,b', list) == ['a', 'b']",
        "Env.ENVIRON": "Env.ENVIRON is os.environ",
        "Env.NOTSET": "Env.get_value.__defaults__[1] is Env.NOTSET",
    },
)
DJANGO: Probes = (
    "import inspect\nfrom django.core.management.commands.migrate import Command",
    {
        # What migrates calls it before each migration.
        "Command.migration_progress_callback": (
            "'Executor(connection, self.migration_progress_callback)' in inspect.getsource(Command)"
            " and str(inspect.signature(Command.migration_progress_callback))"
            " == '(self, action, migration=None, fake=False)'"
        ),
    },
)
CELERY: Probes = (
    """
import inspect
from celery import Celery
from celery.beat import PersistentScheduler
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.redis import Channel, MultiChannelPoller, QoS, Transport
from redis.connection import AbstractConnection

def calls(name, *functions):
    return all(name in inspect.getsource(function) for function in functions)
""",
    {
        "TRANSPORT_ALIASES": "TRANSPORT_ALIASES['redis'] == 'kombu.transport.redis:Transport'",
        "Transport.Channel": "Transport.Channel is Channel",
        "Channel._brpop_start": "calls('_brpop_start()', MultiChannelPoller._register_BRPOP)",
        "Channel._brpop_read": "calls('_brpop_read', Channel.close) and calls('BRPOP', Channel.__init__)",
        "Channel._in_poll": "calls('if not channel._in_poll', MultiChannelPoller._register_BRPOP)",
        "AbstractConnection.pid": "calls('self.pid = os.getpid()', AbstractConnection.__init__)",
        "Channel._brpop_sent_at": "calls('_brpop_sent_at', MultiChannelPoller.maybe_check_brpop_health)",
        "Channel._queue_cycle": (
            "calls('_queue_cycle.consume(', Channel._brpop_start)"
            " and calls('_queue_cycle.rotate(', Channel._brpop_read)"
        ),
        "Channel.brpop_timeout": "Transport.brpop_timeout == 1 and calls('self.brpop_timeout =', Channel.__init__)",
        "Channel.conn_or_acquire": "calls('conn_or_acquire', Channel._size)",
        "Channel.connection_errors": "calls('connection_errors', Channel._brpop_read)",
        "Transport._deliver": "calls('self.connection._deliver(loads(', Channel._brpop_read)",
        "Channel.visibility_timeout": "calls('visibility_timeout', QoS.restore_visible)",
        "QoS.restore_visible": (
            "[*inspect.signature(QoS.restore_visible).parameters] == ['self', 'start', 'num', 'interval']"
        ),
        "unacked": "Channel.unacked_key == 'unacked'",
        "amqp.queues.consume_from": "[*Celery('x').amqp.queues.consume_from] == ['celery']",
        "PersistentScheduler.tick": "hasattr(PersistentScheduler, 'tick')",
        "PersistentScheduler.max_interval": "PersistentScheduler.max_interval > 0",
    },
)
PIP: Probes = (
    "import pip, pathlib",
    {"__pip-runner__.py": "pathlib.Path(pip.__file__).with_name('__pip-runner__.py').exists()"},
)
PYTHON: Probes = (
    "import os, sys, threading",
    {
        "sys._base_executable": "not sys._base_executable.startswith(sys.prefix)",
        "sys._current_frames": "threading.get_ident() in sys._current_frames()",
    },
)
COOKIECUTTER: Probes = (
    """
from cookiecutter import cli, hooks

options = {option.name for option in cli.main.params}
""",
    {
        "cookiecutter.hooks": "hooks.logger.name == 'cookiecutter.hooks'",
        **{
            name: f"'{name}' in options"
            for name in (
                *("template", "extra_context", "no_input", "replay", "replay_file"),
                *("default_config", "config_file"),
            )
        },
    },
)
PROBES = (SUPERVISOR, GUNICORN, ENVIRON, DJANGO, CELERY, PIP, PYTHON, COOKIECUTTER)
NAMES = [name for _, expressions in PROBES for name in expressions]

# Prints the names whose expression is not true.
PROBE = """
import json

missing = {}
for name, expression in json.loads(expressions).items():
    try:
        if not eval(expression):
            missing[name] = expression
    except Exception as error:
        missing[name] = repr(error)
print(json.dumps(missing))
"""


@pytest.fixture(scope="module")
def site(make_site: Callable[..., Site]) -> Site:
    """With everything that a site can have."""
    return make_site(tasks="celery")


@pytest.fixture(scope="module")
def missing(site: Site) -> dict[str, str]:
    """Name → what is wrong with it, in a site's venv; Cookiecutter's in that of these tests."""
    found: dict[str, str] = {}
    for probes in PROBES:
        python = sys.executable if probes is COOKIECUTTER else "venv/bin/python"
        prelude, expressions = probes
        program = f"{prelude}\nexpressions = {json.dumps(expressions)!r}\n{PROBE}"
        found |= json.loads(site.run(python, "-c", program).stdout)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_it_means_what_our_code_takes_it_for(missing: dict[str, str], name: str) -> None:
    assert missing.get(name) is None


def test_contributing_lists_every_name() -> None:
    _, _, section = read("CONTRIBUTING.md").partition("## Names that others may change\n")
    rows = re.findall(r"^\| [^|]* \|([^|]*)\|", section.partition("\n## ")[0], re.MULTILINE)
    assert sorted(re.findall("`([^`]+)`", "".join(rows))) == sorted(NAMES)
