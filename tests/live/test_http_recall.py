# SPDX-License-Identifier: Apache-2.0
"""Every HTTP request is a span, once, on both sides: nginx counts."""

import os

import load
import servers
from agent import Agent
from harness import equal, folder, run
from spans import CLIENT, SERVER, UNSET, at_port, select

PIPELINED = """
local depth = 16
local all
function init(args)
	local one = {}
	for i = 1, depth do one[i] = wrk.format("GET", "/ok") end
	all = table.concat(one)
end
function request() return all end
"""


def check(spans, nginx, expected, pid=None):
    """@expected requests were answered: as many spans of nginx and of the client."""
    equal(nginx.served("GET /ok"), expected, "requests in the access log")
    for kind, side in ((SERVER, "nginx"), (CLIENT, "the client")):
        found = select(at_port(spans, nginx.port, kind), url_path="/ok") if kind == SERVER else \
            select(at_port(spans, nginx.port, kind), pid=pid)
        equal(len(found), expected, f"spans of {side}")
        equal(len(select(found, http_response_status_code=200, spanloom_incomplete=None)),
              expected, f"whole spans of {side} with status 200")
        assert all(span.status == UNSET for span in found)


def exact(connections, each, pipeline=1):
    nginx = servers.Nginx()
    agent = Agent()
    expected = load.http(nginx.port, connections, each, pipeline)
    check(agent.stop(), nginx, expected, os.getpid())


def test_1_connection():
    exact(1, 2000)


def test_16_connections():
    exact(16, 200)


def test_64_connections():
    exact(64, 50)


def test_1_connection_pipelined():
    exact(1, 3200, pipeline=16)


def test_16_connections_pipelined():
    exact(16, 320, pipeline=16)


def test_64_connections_pipelined():
    exact(64, 80, pipeline=8)


def saturated(connections, *options):
    """wrk as fast as it can.  It leaves with requests under way: these are sent and may be
    answered, so the client's side is compared with what nginx says it was sent."""
    nginx = servers.Nginx()
    agent = Agent()
    out = run("wrk", "-t", 1, "-c", connections, "-d", "2s", *options, nginx.url + "/ok")
    spans = agent.stop()
    equal(agent.ledger["kernel.ring.full"], 0, "records lost in the ring buffer\n" + out)
    served = nginx.served("GET /ok")
    equal(len(at_port(spans, nginx.port, SERVER)), served, "spans of nginx")
    whole = select(at_port(spans, nginx.port, CLIENT), http_response_status_code=200)
    under_way = connections * (16 if options else 1)
    assert served - under_way <= len(whole) <= served, f"{len(whole)} of {served} client spans"


def test_wrk_at_saturation_1_connection():
    saturated(1)


def test_wrk_at_saturation_16_connections():
    saturated(16)


def test_wrk_at_saturation_64_connections():
    saturated(64)


def test_wrk_at_saturation_pipelined():
    script = folder() / "pipeline.lua"
    script.write_text(PIPELINED)
    saturated(16, "-s", script)
