# SPDX-License-Identifier: Apache-2.0
"""The programs: how each is started, what it does for a request, what it must reach.

All of them get the ports of their neighbours in the environment.  For a request each makes two
queries, three commands and three calls of the leaf.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import harness
import needs
import servers
from harness import free_port, listening, spawn, wait_until
from judge import CACHE, HTTP, SERVERS, SQL

HERE = Path(__file__).resolve().parent
CALLS = {SQL: 2, CACHE: 3, HTTP: 3}


@dataclass
class Program:
    name: str
    title: str  # in the table
    need: Callable  # raises Skip where the program cannot run
    start: Callable  # (world) -> Running
    spans: dict = field(default_factory=lambda: {SERVERS: 4, **CALLS})  # of a request
    share: dict = field(default_factory=dict)  # connections -> part of calls that must be right
    why: str = ""  # others have no parent
    keep: bool = True  # it can keep connections open
    path: str = "/shop"  # of its requests


class Running:
    """Processes of one program, where it listens, and where those behind it do."""

    def __init__(self, port, *processes, behind=()):
        self.ports, self.processes = [port, *behind], processes
        wait_until(lambda: listening(port) or not self.alive(), "the program to listen", 30)
        assert self.alive(), "the program did not start"

    @property
    def port(self):
        return self.ports[0]

    def alive(self):
        return all(process.poll() is None for process in self.processes)

    def end(self):
        for process in self.processes:
            harness.end(process)


class World:
    """The neighbours that all programs share."""

    def __init__(self):
        self.postgres, self.redis = servers.Postgres(), servers.Redis()
        self.leaf_port = free_port()
        self.spawn([needs.python() / "python", HERE / "python" / "leaf.py"], "leaf")
        wait_until(lambda: listening(self.leaf_port), "the leaf to listen")
        self.ports = [self.postgres.port, self.redis.port, self.leaf_port]

    def commands(self):
        """How many commands with a key Redis has had."""
        return self.redis.calls("get") + self.redis.calls("set")

    @property
    def environ(self):
        return dict(os.environ, POSTGRES_PORT=str(self.postgres.port), PYTHONUNBUFFERED="1",
                    REDIS_PORT=str(self.redis.port), LEAF_PORT=str(self.leaf_port))

    def spawn(self, command, name, **environ):
        environ = {key: str(value) for key, value in environ.items()}
        return spawn(command, log=f"{name}.log", env={**self.environ, **environ}, cwd=HERE / "python")


# ---- Python -----------------------------------------------------------------------------


def python(world, name, *command):
    port = free_port()
    words = [str(word).format(port=port) for word in command]
    return Running(port, world.spawn([needs.python() / words[0], *words[1:]], name, PORT=port))


def threads(world):
    return python(world, "threads", "python", "threads.py")


def gunicorn(world, name, *options):
    return python(world, name, "gunicorn", "--workers", 2, *options, "--bind", "127.0.0.1:{port}",
                  "--timeout", 120, "--keep-alive", 75, "wsgi")


def uwsgi(world, name, *options):
    return python(world, name, "uwsgi", "--master", "--processes", 2, *options,
                  "--lazy-apps", "--listen", 100, "--die-on-term", "--disable-logging",
                  "--http-socket", "127.0.0.1:{port}", "--wsgi-file", "wsgi.py")


def uvicorn(world, module):
    return python(world, module, "uvicorn", "--port", "{port}", "--log-level", "warning",
                  "--timeout-keep-alive", 75, f"{module}:app")


# ---- others -----------------------------------------------------------------------------


def node(world, script="app.js", **environ):
    port = free_port()
    process = world.spawn(["node", HERE / "node" / script], script, PORT=port,
                          NODE_PATH=needs.node(), **environ)
    return Running(port, process)


def chain(world):
    last = threads(world)
    middle = node(world, "forward.js", NEXT_PORT=last.port)
    first = servers.Nginx(f"location /shop/ {{ proxy_pass http://127.0.0.1:{middle.port}; }}")
    return Running(first.port, first.process, *middle.processes, *last.processes,
                   behind=[middle.port, last.port])


def go(world, name, **environ):
    port = free_port()
    return Running(port, world.spawn([needs.go()], name, PORT=port, **environ))


def puma(world, threads=8):
    port = free_port()
    return Running(port, world.spawn(
        [needs.command("puma"), "--threads", f"{threads}:{threads}", "--environment", "production",
         "--bind", f"tcp://127.0.0.1:{port}", HERE / "ruby" / "config.ru"], "puma"))


def need_ruby():
    needs.command("puma")
    needs.works("pg and redis for Ruby", "ruby", "-e", "require 'pg'; require 'redis'")


def need_php():
    needs.works("pgsql, redis and curl for PHP", needs.command("php"), "-r",
                "exit(extension_loaded('pgsql') && class_exists('Redis') && "
                "extension_loaded('curl') ? 0 : 1);")


def php(world):
    port = free_port()
    return Running(port, world.spawn(
        ["php", "-S", f"127.0.0.1:{port}", HERE / "php" / "index.php"], "php",
        PHP_CLI_SERVER_WORKERS=4))


APACHE_PHP = """
LoadModule php_module {php}
StartServers 8
MaxRequestWorkers 8
<FilesMatch "php$">
	SetHandler application/x-httpd-php
</FilesMatch>
<Directory {script.parent}>
	Require all granted
</Directory>
AliasMatch ^/shop/ {script}
"""


def need_apache():
    need_php()
    needs.command("apache2", "httpd")
    return needs.file("mod_php for Apache", "/usr/lib*/apache2/modules/libphp*.so",
                      "/usr/lib*/httpd/modules/libphp*.so")


def apache(world):
    module = need_apache()
    port, command = servers.apache(
        module.parent, ("mpm_prefork", "authz_core", "alias"),
        APACHE_PHP.format(php=module, script=HERE / "php" / "index.php"))
    return Running(port, world.spawn(command, "apache"))


def need_php_fpm():
    need_php()
    if not servers.php_fpm_command():
        raise harness.Skip("PHP-FPM is not installed")


def php_fpm(world):
    pool = servers.PhpFpm(env=world.environ)
    web = servers.Nginx(pool.location("/shop/", HERE / "php" / "index.php"))
    return Running(web.port, web.process, pool.process, behind=[pool.port])


ALL_RIGHT = dict.fromkeys((1, 8, 64), 1)
HALF = dict.fromkeys((1, 8, 64), 0.5)

PROGRAMS = [
    Program("threads", "Python `http.server`, psycopg2, redis, requests", needs.python, threads,
            share=ALL_RIGHT),
    Program("gunicorn-sync", "gunicorn, sync workers; the same clients", needs.python,
            lambda world: gunicorn(world, "gunicorn-sync"), share=ALL_RIGHT),
    Program("gunicorn-gthread", "gunicorn, gthread workers; the same clients", needs.python,
            lambda world: gunicorn(world, "gunicorn-gthread", "--threads", 8), share=ALL_RIGHT),
    Program("uwsgi", "uWSGI, threads; the same clients", needs.python,
            lambda world: uwsgi(world, "uwsgi", "--threads", 4), share=ALL_RIGHT, keep=False),
    Program("apache", "Apache prefork, mod_php, pgsql, redis, curl", need_apache, apache,
            share=ALL_RIGHT),
    Program("puma", "Puma, pg, redis, net/http", need_ruby, puma, share=HALF,
            why="Puma's reactor has read the request"),
    Program("php", "PHP's own server with workers, pgsql, redis, curl", need_php, php,
            share=ALL_RIGHT),
    Program("php-fpm", "nginx, PHP-FPM; the same extensions", need_php_fpm, php_fpm,
            spans={SERVERS: 5, SQL: 2, CACHE: 3, HTTP: 4}, share={1: 1, 8: 0.88, 64: 0.88},
            why="nginx's own, when it serves several"),
    Program("gunicorn-gevent", "gunicorn, gevent workers; the same clients", needs.python,
            lambda world: gunicorn(world, "gunicorn-gevent", "--worker-class", "gevent"),
            why="of several requests at once"),
    Program("uwsgi-gevent", "uWSGI, gevent; the same clients", needs.python,
            lambda world: uwsgi(world, "uwsgi-gevent", "--gevent", 100, "--gevent-monkey-patch"),
            keep=False, why="of several requests at once"),
    Program("fastapi", "FastAPI, asyncpg, redis, httpx, `gather`", needs.python,
            lambda world: uvicorn(world, "asynchronous"), share=ALL_RIGHT),
    Program("threadpool", "FastAPI's threads, SQLAlchemy, redis, requests", needs.python,
            lambda world: uvicorn(world, "threadpool"), share=ALL_RIGHT),
    Program("fastapi-late", "FastAPI with tasks that outlive the response", needs.python,
            lambda world: uvicorn(world, "asynchronous"), path="/late",
            spans={SERVERS: 4, SQL: 2, CACHE: 5, HTTP: 3}, why="what is sent after the response"),
    Program("go", "Go net/http, pgx, go-redis, goroutines; with the request's context", needs.go,
            lambda world: go(world, "go"), share=ALL_RIGHT),
    Program("go-no-context", "the same without a context", needs.go,
            lambda world: go(world, "go-no-context", CONTEXTS="none"),
            why="goroutines that the handler starts"),
    Program("node", "Node http, pg, ioredis, fetch, `Promise.all`", needs.node, node,
            share={1: 1}, why="of several requests at once"),
    Program("node-late", "Node with work that outlives the response", needs.node, node, path="/late",
            spans={SERVERS: 4, SQL: 2, CACHE: 5, HTTP: 3}, why="the loop calls behind its responses"),
    Program("chain", "nginx -> Node -> threaded Python", lambda: (needs.python(), needs.node()),
            chain, spans={SERVERS: 6, SQL: 2, CACHE: 3, HTTP: 5},
            share={1: 1}, why="of several requests at once"),
]


def named(name):
    return next(program for program in PROGRAMS if program.name == name)
