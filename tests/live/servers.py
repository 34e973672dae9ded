# SPDX-License-Identifier: Apache-2.0
"""The real servers: each on a free loopback port and a unix socket, in the test's folder."""

import itertools
import os
import pwd
import re
import shutil
import signal
import socket
import sys
import threading
from pathlib import Path

import harness
import load
from harness import defer, folder, free_port, listening, run, spawn, wait_until

_serial = itertools.count(1)

# ---- nginx ------------------------------------------------------------------------------

NGINX_CONF = """
daemon off;
worker_processes 1;
user root;
pid {dir}/nginx.pid;
error_log {dir}/error.log warn;
events {{ worker_connections 1024; }}
http {{
	log_format line '$status $request_length $bytes_sent $request';
	access_log {dir}/access.log line;
	client_body_temp_path {dir}/body;
	proxy_temp_path {dir}/proxy;
	fastcgi_temp_path {dir}/fastcgi;
	uwsgi_temp_path {dir}/uwsgi;
	scgi_temp_path {dir}/scgi;
	keepalive_requests 10000000;
	keepalive_timeout 3600;
	client_max_body_size 64m;
	sendfile on;
	tcp_nopush on;
	default_type text/plain;
	server {{
		listen 127.0.0.1:{port};
		listen [::1]:{port};
		listen unix:{dir}/http.sock;
		root {dir}/www;
		location /ok {{ return 200 "ok\\n"; }}
		location /users/ {{ return 200 "ok\n"; }}
		location /nothing {{ return 204; }}
		location /broken {{ return 500; }}
		location /moved {{ return 302 /ok; }}
		location /upload {{ proxy_pass http://127.0.0.1:{port}/ok; }}
		{extra}
	}}
	{beside}
}}
"""


class Nginx:
    """Counts its own requests: one line of the access log for each."""

    def __init__(self, extra="", beside=""):
        self.dir = folder() / f"nginx{next(_serial)}"
        (self.dir / "www").mkdir(parents=True)
        self.port = free_port()
        conf = self.dir / "nginx.conf"
        conf.write_text(NGINX_CONF.format(dir=self.dir, port=self.port, extra=extra,
                                          beside=beside))
        binary = shutil.which("nginx") or "/usr/sbin/nginx"
        self.process = spawn([binary, "-p", self.dir, "-c", conf], log=f"{self.dir.name}.log")
        wait_until(lambda: listening(self.port) and self._rests(), "nginx to serve")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket(self):
        return self.dir / "http.sock"

    def file(self, name, size):
        """A file to serve; sparse, so its size costs nothing."""
        with open(self.dir / "www" / name, "wb") as out:
            out.truncate(size)

    def _rests(self):
        """Its workers are there, and have nothing to do."""
        parent = self.process.pid
        workers = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        states = [Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] for pid in workers]
        return states and all(state == "S" for state in states)

    def served(self, pattern=""):
        """How many requests whose line of the log matches @pattern it has answered.  The line
        is written after the answer, and before the worker waits for what comes next."""
        wait_until(self._rests, "nginx to have written its log")
        try:
            lines = (self.dir / "access.log").read_text().splitlines()
        except FileNotFoundError:
            return 0
        return sum(1 for line in lines if re.search(pattern, line))


# ---- Redis ------------------------------------------------------------------------------


class Redis:
    """Counts its own commands: INFO commandstats."""

    def __init__(self):
        self.dir = folder() / f"redis{next(_serial)}"
        self.dir.mkdir()
        self.port = free_port()
        self.socket = self.dir / "redis.sock"
        self.process = spawn(
            ["redis-server", "--port", self.port, "--bind", "127.0.0.1", "::1",
             "--unixsocket", self.socket, "--save", "", "--appendonly", "no", "--dir", self.dir],
            log=f"{self.dir.name}.log")
        wait_until(lambda: listening(self.port), "redis-server to listen")

    def cli(self, *words, **kwargs):
        return run("redis-cli", "-p", self.port, *words, **kwargs)

    def calls(self, command):
        """How many times the server has run @command."""
        stats = self.cli("INFO", "commandstats")
        found = re.search(rf"cmdstat_{command.lower()}:calls=(\d+)", stats)
        return int(found[1]) if found else 0


# ---- PostgreSQL -------------------------------------------------------------------------

POSTGRES_CONF = """
listen_addresses = '127.0.0.1,::1'
fsync = off
shared_buffers = 32MB
max_connections = 100
autovacuum = off
shared_preload_libraries = 'pg_stat_statements'
pg_stat_statements.track = top
log_min_messages = warning
"""


def postgres_bin():
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"),
                     key=lambda path: int(path.parent.name))
    assert folders, "no PostgreSQL in /usr/lib/postgresql (deploy/deps.sh)"
    return folders[-1]


def postgres_user():
    """PostgreSQL does not run as root."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


class Postgres:
    """Counts its own queries: pg_stat_statements.  Database "shop" has pgbench's tables."""

    def __init__(self, conf=""):
        template = harness.cache() / "postgres"
        if not template.exists():
            self._make_template(template)
        self._start(conf, template)

    def _start(self, conf, template=None):
        self.dir = folder() / f"postgres{next(_serial)}"
        self.dir.mkdir()
        self.port = free_port()
        if os.geteuid() == 0:
            shutil.chown(self.dir, "postgres", "postgres")
        data = self.dir / "data"
        if template:
            run("cp", "-a", "--reflink=auto", template, data)
        else:
            run(postgres_bin() / "initdb", "-D", data, "-A", "trust", "-U", "postgres",
                "--no-sync", "-E", "UTF8", "--locale=C", **postgres_user())
        (data / "postgresql.auto.conf").write_text(
            f"{POSTGRES_CONF}\nport = {self.port}\n"
            f"unix_socket_directories = '{self.dir}'\n{conf}\n")
        self.process = spawn([postgres_bin() / "postgres", "-D", data],
                             log=f"{self.dir.name}.log", cwd=self.dir, **postgres_user())
        defer(harness.end, self.process, signal.SIGQUIT)
        wait_until(self._answers, "PostgreSQL to answer", 60)

    def _answers(self):
        return harness.status_of("psql", *self.address("postgres"), "-c", "")[0] == 0

    def _make_template(self, template):
        """Set up once in a run of the tests; then copied."""
        self._start("")
        self.psql("CREATE DATABASE shop", database="postgres")
        self.psql("CREATE EXTENSION pg_stat_statements")
        self.pgbench("-i", "-q")
        harness.end(self.process, signal.SIGINT, 60)
        os.rename(self.dir / "data", template)

    def address(self, database="shop", host="127.0.0.1"):
        return ["-X", "-h", host, "-p", str(self.port), "-U", "postgres", "-d", database]

    def psql(self, sql, *options, database="shop", host="127.0.0.1", ok=(0,), **kwargs):
        return run("psql", *self.address(database, host), "-q", "-A", "-t", *options, "-c", sql,
                   ok=ok, **kwargs)

    def pgbench(self, *options, host="127.0.0.1", timeout=120):
        return run(postgres_bin() / "pgbench", "-h", host, "-p", self.port, "-U", "postgres",
                   *options, "shop", timeout=timeout)

    def calls(self, pattern):
        """How many times the server has executed statements like @pattern (SQL LIKE)."""
        count = self.psql("SELECT coalesce(sum(calls), 0) FROM pg_stat_statements "
                          f"WHERE query LIKE '{pattern}' AND query NOT LIKE '%pg_stat%'")
        return int(count)


# ---- PHP-FPM ----------------------------------------------------------------------------

PHP_FPM_CONF = """
[global]
error_log = {dir}/error.log
daemonize = no
[www]
listen = {listen}
pm = static
pm.max_children = {workers}
clear_env = no
"""

FASTCGI = """
location {path} {{
	fastcgi_pass {upstream};
	fastcgi_keep_conn {keep};
	fastcgi_param SCRIPT_FILENAME {script};
	fastcgi_param REQUEST_METHOD $request_method;
	fastcgi_param REQUEST_URI $request_uri;
	fastcgi_param CONTENT_LENGTH $content_length;
	fastcgi_param REMOTE_ADDR $remote_addr;
}}
"""


def php_fpm_command():
    """The newest there is; None: there is none."""
    found = (shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") for name in
             ("php-fpm", *(f"php-fpm8.{minor}" for minor in range(9, -1, -1))))
    return next(filter(None, found), None)


class PhpFpm:
    """Workers that serve one connection at a time, at a port or a unix socket."""

    def __init__(self, workers=4, unix=False, env=None):
        self.dir = folder() / f"php-fpm{next(_serial)}"
        self.dir.mkdir()
        self.port, self.socket = free_port(), self.dir / "fpm.sock"
        self.address = self.socket if unix else self.port
        conf, command = self.dir / "php-fpm.conf", php_fpm_command()
        assert command, "PHP-FPM is not installed (deploy/deps.sh)"
        conf.write_text(PHP_FPM_CONF.format(dir=self.dir, workers=workers, listen=self.socket
                                            if unix else f"127.0.0.1:{self.port}"))
        self.process = spawn([command, "-R", "-F", "-y", conf],
                             log=f"{self.dir.name}.log", env={**os.environ, **(env or {})})
        wait_until(self.socket.exists if unix else lambda: listening(self.port),
                   "PHP-FPM to listen")

    @property
    def upstream(self):
        """As nginx has it."""
        return f"unix:{self.socket}" if self.address == self.socket else f"127.0.0.1:{self.port}"

    def location(self, path, script, upstream=None, keep="off"):
        """What nginx needs to hand on the requests below @path."""
        return FASTCGI.format(path=path, script=script, upstream=upstream or self.upstream,
                              keep=keep)


# ---- Apache -----------------------------------------------------------------------------

APACHE_CONF = """
ServerName localhost
ServerRoot {dir}
PidFile {dir}/apache.pid
ErrorLog {dir}/apache-error.log
Listen 127.0.0.1:{port}
{modules}
{extra}
"""


def apache_command():
    """None: there is none."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    return shutil.which("apache2", path=path) or shutil.which("httpd", path=path)


def apache(place, modules, extra):
    """The port of an Apache with these of the modules that lie in @place, and its command."""
    port, conf = free_port(), folder() / "apache.conf"
    loaded = "\n".join(f"LoadModule {name}_module {place}/mod_{name}.so" for name in modules)
    conf.write_text(APACHE_CONF.format(dir=folder(), port=port, modules=loaded, extra=extra))
    return port, [apache_command(), "-D", "FOREGROUND", "-f", conf]


# ---- programs ---------------------------------------------------------------------------


# What Python programs that serve HTTP begin with.  A body goes out behind its head, in a send of
# its own, and at once: Nagle's algorithm would let it wait for the client's delayed ACK.
SERVING = """
import socket, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Answers(BaseHTTPRequestHandler):
    protocol_version, disable_nagle_algorithm = "HTTP/1.1", True
    def answer(self, body=b"", status=200):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if body:
            self.wfile.write(body)
    def log_message(self, *_): pass
class Server(ThreadingHTTPServer):
    request_queue_size = 256
def serve(handler, port, host="127.0.0.1"):
    Server((host, port), handler).serve_forever()
"""


def python_program(text, *arguments, log="python.log", **kwargs):
    """A Python program of the system's or the virtual environment's interpreter."""
    script = folder() / f"program{next(_serial)}.py"
    script.write_text(text)
    return spawn([sys.executable, script, *arguments], log=log, **kwargs)


FORWARDER = SERVING + """
import http.client
port, back, copies = map(int, sys.argv[1:])
class Handler(Answers):
    def do_GET(self):
        headers = dict(self.headers, Host=f"127.0.0.1:{back}") if copies else {}
        connection = http.client.HTTPConnection("127.0.0.1", back)
        connection.request("GET", self.path, headers=headers)
        body = connection.getresponse().read()
        connection.close()
        self.answer(body)
serve(Handler, port)
"""


def forwarder(port, back, copies=False):
    """A threaded server at @port that asks the one at @back; @copies: with the headers it got."""
    program = python_program(FORWARDER, port, back, int(copies))
    wait_until(lambda: listening(port), "the forwarder to listen")
    return program


def node_program(text, *arguments, log="node.log", **kwargs):
    script = folder() / f"program{next(_serial)}.js"
    script.write_text(text)
    return spawn(["node", script, *arguments], log=log, **kwargs)


class Script(threading.Thread):
    """A server of one connection after another that plays function(connection)."""

    def __init__(self, play, host="127.0.0.1"):
        super().__init__(daemon=True)
        self.play = play
        self.listener = socket.create_server((host, 0), family=socket.AF_INET6
                                             if ":" in host else socket.AF_INET)
        self.port = self.listener.getsockname()[1]
        defer(self.listener.close)
        self.start()

    def run(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            connection = load.Http.__new__(load.Http)
            connection.socket, connection.buffer = peer, bytearray()
            try:
                self.play(connection)
            except (OSError, EOFError):
                pass
            peer.close()
