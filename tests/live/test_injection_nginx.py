# SPDX-License-Identifier: Apache-2.0
"""nginx as a proxy while headers are injected by default: it asks by FIONREAD what it can read.

client -> nginx -> strict_server.py.  Each request that reaches the latter has one header, the
context of the span of nginx's call, or it has none and is counted under the reason.
"""

import hashlib
import json

import load
import servers
from agent import Agent, need
from harness import equal, in_threads
from torture import TRACEPARENT, Strict, Torture

REQUESTS = 50  # of a connection
KEPT = 'proxy_set_header Connection "";'

PROXY = """
		location /n/ {{
			proxy_pass http://back;
			proxy_http_version 1.1;
			proxy_set_header Host 127.0.0.1:{back};
			proxy_request_buffering {buffering};
			{more}
		}}
"""


def body_of(number):
    return b"POST /n/0 HTTP/1.1\r\n\r\n" * (number % 5 * 100)


def ask(proxy, torture, index):
    """One client; every fourth request begins a new connection."""
    for block in range(0, REQUESTS, 4):
        with load.Http(proxy.port) as connection:
            for number in range(block, min(block + 4, REQUESTS)):
                judge(connection, torture, index * REQUESTS + number + 1)


def judge(connection, torture, number):
    body = body_of(number)
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    connection.send(f"{'POST' if body else 'GET'} /n/{number} HTTP/1.1\r\nHost: proxy\r\n"
                    f"{length}\r\n".encode() + body)
    status, answer = connection.response()
    equal(status, 200, f"answer to {number}")
    [report] = json.loads(answer)
    equal((report["size"], report["sha256"]), (len(body), hashlib.sha256(body).hexdigest()),
          f"body of {number}")
    found = TRACEPARENT.findall(report["head"].encode("latin-1"))
    headers = report["head"].lower().count("traceparent:")
    assert headers == len(found) <= 1, f"headers in {report['head']!r}"
    if found:
        torture.seen[number] = found[0].decode()


def check_counts(ledger, total, seen, callers):
    """Each call of the @callers (nginx, and the client where it is not left alone) got a header, or
    is counted under the reason.  What programs missed that were preempted (Linux 7.0) may be in no
    count.  @seen: of nginx's calls, those with a header."""
    missed = ledger["kernel.programs.missed"]
    headers = ledger["kernel.inject.added"] + ledger["kernel.inject.updated"]
    without = sum(ledger[f"kernel.inject.{reason}"] for reason in (
        "no_context", "split", "no_room", "unfit", "apart", "full", "adopted"))
    told = f"{seen} of {total} calls with a header: {ledger}"
    assert abs(callers * total - headers - without) <= missed, told
    assert total - seen <= without + missed, told
    assert seen >= 0.9 * total and missed <= 0.2 * total, told


def proxied(more, buffering, *options, connections=4, callers=1):
    need("header injection")
    server = Strict()
    torture = Torture(server)
    pool = f"upstream back {{ server 127.0.0.1:{server.port}; keepalive 4; }}"
    proxy = servers.Nginx(PROXY.format(buffering=buffering, more=more, back=server.port),
                          pool)
    agent = Agent("--ring-size", "64M", *server.only(proxy.port), *options)
    in_threads(lambda index: ask(proxy, torture, index), connections)
    spans = agent.stop()
    check_counts(agent.ledger, connections * REQUESTS, len(torture.seen), callers)
    torture.check_spans(spans, agent.ledger["kernel.programs.missed"])


def test_connections_that_are_kept():
    proxied(KEPT, "on", "--inject-exclude", "python3*")


def test_a_connection_for_each_request():
    proxied("", "off", "--inject-exclude", "python3*")


def test_headers_that_nginx_passes_on():
    """Of several at once the header itself tells which one a call is for."""
    proxied(KEPT, "off", connections=8, callers=2)
