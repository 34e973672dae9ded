# SPDX-License-Identifier: Apache-2.0
"""The short form of tests/accuracy: a few requests to each program whose needs are met here."""

import os
import sys
import time

import load
from agent import Agent
from harness import ROOT, takes

sys.path.append(str(ROOT / "tests" / "accuracy"))

# pylint: disable=wrong-import-position
import measure
import programs
from judge import judge, process_of
from programs import World, named

CONNECTIONS, REQUESTS = 8, 80


def check(name, right):
    """@right: the part of the calls that must have the right parent."""
    program = named(name)
    program.need()
    result, = measure.program(World(), program, [CONNECTIONS], REQUESTS)
    assert not result.faults(right), "\n".join(result.faults(right) + [
        f"{span} below {parent}" for span, parent in result.judgement.wrong])


@takes(400)
def test_threads():
    check("threads", 1)


def test_gunicorn_sync():
    check("gunicorn-sync", 1)


def test_gunicorn_gthread():
    check("gunicorn-gthread", 1)


def test_uwsgi():
    check("uwsgi", 1)


def test_uwsgi_gevent():
    check("uwsgi-gevent", 0)


def test_apache():
    check("apache", 1)


def test_php():
    check("php", 1)


def test_php_fpm():
    check("php-fpm", 0.88)


def test_fastapi():
    check("fastapi", 1)


def test_fastapi_with_tasks_that_outlive_the_response():
    check("fastapi-late", 0.8)


def test_threadpool():
    check("threadpool", 1)


@takes(400)
def test_go():
    check("go", 1)


@takes(400)
def test_node():
    check("node", 0)


@takes(400)
def test_chain():
    check("chain", 0.6)


def test_puma():
    check("puma", 0.5)


def test_puma_hands_a_connection_over():
    """Its only thread reads a part of one request, and goes on with another, that its reactor has
    read: the calls are not of the first."""
    named("puma").need()
    puma = programs.puma(World(), threads=1)
    with load.Http(puma.port) as idle:
        idle.get("/shop/c1")
        agent = Agent()
        time.sleep(0.5)  # until the thread gives the idle one to the reactor
        with load.Http(puma.port) as slow:
            slow.send(b"POST /shop/c2 HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf ")
            time.sleep(0.5)  # likewise
            idle.get("/shop/c3")
            slow.send(b"more.")
            assert slow.response() == (200, b"done")
    ours = measure.family()
    judged = judge([span for span in agent.stop() if process_of(span) in ours], os.getpid())
    assert judged.total() == 2 * 12 and not judged.wrong, (judged.counts, judged.wrong)
