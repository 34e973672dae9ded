# SPDX-License-Identifier: Apache-2.0
"""Redis through redis-cli, redis-benchmark and a client of our own; the server counts."""

import re
import time

import load
import servers
from agent import Agent
from harness import equal, in_threads, run
from spans import CLIENT, ERROR, UNSET, at_port, one


def calls(spans, server, name=None):
    return [span for span in at_port(spans, server.port, CLIENT)
            if name is None or span["db.operation.name"] == name]


def of_command(spans, server, name):
    """Executions of a command, alone or in pipelines of it."""
    return sum(span.operations for span in calls(spans, server)
               if span["db.operation.name"] in (name, f"PIPELINE {name}"))


# ---- recall -----------------------------------------------------------------------------


def benchmark(connections, pipeline, each):
    server = servers.Redis()
    agent = Agent()
    run("redis-benchmark", "-p", server.port, "-c", connections, "-P", pipeline, "-n", each,
        "-t", "set,get,incr", "-q")
    spans = agent.stop()
    for name in ("SET", "GET", "INCR"):
        equal(server.calls(name), each, f"{name} that the server counted")
        equal(of_command(spans, server, name), each, f"{name} in spans")
    assert not any(span.kind != CLIENT for span in at_port(spans, server.port))
    assert not any(span["spanloom.incomplete"] for span in calls(spans, server, "GET"))


def test_1_connection():
    benchmark(1, 1, 2000)


def test_16_connections():
    benchmark(16, 1, 3200)


def test_64_connections():
    benchmark(64, 1, 6400)


def test_1_connection_pipelined():
    benchmark(1, 16, 6400)


def test_16_connections_pipelined():
    benchmark(16, 16, 12800)


def test_64_connections_pipelined():
    benchmark(64, 16, 12800)


def test_own_client_at_16_connections():
    server = servers.Redis()
    agent = Agent()

    def work(index):
        with load.Redis(server.port) as client:
            for n in range(200):
                client.ask("SET", f"key:{index}:{n}", "x" * 100)
    in_threads(work, 16)
    equal(server.calls("SET"), 3200, "SET that the server counted")
    equal(of_command(agent.stop(), server, "SET"), 3200, "SET in spans")


# ---- attributes -------------------------------------------------------------------------


def test_attributes_of_a_command():
    server = servers.Redis()
    agent = Agent()
    before = time.time_ns()
    with load.Redis(server.port) as client:
        client.ask("HMSET", "myhash", "field1", "hunter2", "field2", "World")
    after = time.time_ns()
    span = one(calls(agent.stop(), server, "HMSET"))
    assert before <= span.start_ns < span.end_ns <= after
    equal(span.name, "HMSET", "name")
    equal(span.status, UNSET, "status")
    equal(span.scope, "spanloom/redis", "scope")
    equal(span.attributes, {
        "db.system.name": "redis", "db.namespace": "0", "db.operation.name": "HMSET",
        "db.query.text": "HMSET myhash field1 ? field2 ?",
        "server.address": "127.0.0.1", "server.port": server.port,
        "network.peer.address": "127.0.0.1", "network.peer.port": server.port,
        "spanloom.link": "none"}, "attributes")
    assert b"hunter2" not in b"".join(agent.sink.bodies), "a value left the host"


def test_secrets_stay_home():
    server = servers.Redis()
    agent = Agent()
    with load.Redis(server.port) as client:
        client.ask("AUTH", "alice", "hunter2")
        client.ask("HELLO", "3", "AUTH", "alice", "hunter2")
        client.ask("CONFIG", "SET", "requirepass", "hunter2")
        client.ask("AUTH", "hunter2")
        client.ask("EVAL", "return 'hunter2'", "0", "hunter2")
        client.ask("SET", "key", "hunter2", "EX", "10")
        client.send(b"SET key hunter2\r\n")
        client.reply()
        client.ask("ACL", "SETUSER", "bob", ">hunter2")
        client.ask("MIGRATE", "h", "1", "k", "0", "10", "AUTH", "hunter2")
    assert calls(agent.stop(), server, "SET"), "no span at all"
    assert b"hunter2" not in b"".join(agent.sink.bodies), "a secret left the host"


def test_errors():
    server = servers.Redis()
    agent = Agent()
    with load.Redis(server.port) as client:
        client.ask("LPUSH", "list", "1")
        client.ask("INCR", "list")
        client.ask("NOSUCH", "x")
        client.ask("GET", "missing")
    spans = agent.stop()
    for name, kind in (("INCR", "WRONGTYPE"), ("NOSUCH", "ERR")):
        span = one(calls(spans, server, name))
        equal(span.status, ERROR, name)
        equal(span["error.type"], kind, "error.type of " + name)
        equal(span["db.response.status_code"], kind, "status code of " + name)
    equal(one(calls(spans, server, "GET")).status, UNSET, "a missing key is no error")


def test_select_changes_the_namespace():
    server = servers.Redis()
    agent = Agent()
    with load.Redis(server.port) as client:
        client.ask("GET", "a")
        client.ask("SELECT", "3")
        client.ask("GET", "b")
        client.ask("SELECT", "99")
        client.ask("GET", "c")
    found = {s["db.query.text"]: s["db.namespace"] for s in calls(agent.stop(), server, "GET")}
    equal(found, {"GET a": "0", "GET b": "3", "GET c": "3"}, "namespaces")


# ---- what else Redis can do -------------------------------------------------------------


def test_resp3():
    server = servers.Redis()
    agent = Agent("--port", str(server.port))
    with load.Redis(server.port) as client:
        client.ask("HELLO", "3")
        client.ask("HSET", "hash", "a", "1", "b", "2")
        client.ask("HGETALL", "hash")
        client.ask("SADD", "set", "x", "y")
        client.ask("SMEMBERS", "set")
        client.ask("ZADD", "z", "1.5", "m")
        client.ask("ZSCORE", "z", "m")
        client.ask("GET", "missing")
    spans = agent.stop()
    names = [span["db.operation.name"] for span in
             sorted(calls(spans, server), key=lambda span: span.start_ns)]
    equal(names, ["HELLO", "HSET", "HGETALL", "SADD", "SMEMBERS", "ZADD", "ZSCORE", "GET"],
          "names")
    equal(agent.ledger["flow.parse.errors"], 0, "parse errors")


def test_transaction():
    server = servers.Redis()
    agent = Agent()
    with load.Redis(server.port) as client:
        client.ask("MULTI")
        client.ask("SET", "a", "1")
        client.ask("SET", "b", "2")
        client.ask("EXEC")
        client.ask("GET", "after")
    spans = calls(agent.stop(), server)
    batch = [s for s in spans if (s["db.operation.name"] or "").startswith("MULTI")]
    assert batch, [s.name for s in spans]
    equal(len([s for s in spans if s["db.operation.name"] == "GET"]), 1, "GET after it")
    assert all(span.status == UNSET for span in spans), spans


def test_publish_and_subscribe():
    """Pushed messages are no answers: what follows is still paired right."""
    server = servers.Redis()
    agent = Agent("--port", str(server.port))
    with load.Redis(server.port) as listener, load.Redis(server.port) as speaker:
        listener.ask("SUBSCRIBE", "news")
        for n in range(20):
            speaker.ask("PUBLISH", "news", n)
            listener.reply()
        listener.ask("UNSUBSCRIBE", "news")
        asked = time.time_ns()
        listener.ask("GET", "after")
        answered = time.time_ns()
    spans = agent.stop()
    equal(len(calls(spans, server, "PUBLISH")), 20, "PUBLISH")
    span = one(calls(spans, server, "GET"))
    assert asked <= span.start_ns <= span.end_ns <= answered, (asked, span, answered)
    equal(agent.ledger["flow.parse.errors"], 0, "parse errors")


def test_pushes_in_resp3():
    server = servers.Redis()
    agent = Agent()
    with load.Redis(server.port) as client:
        client.ask("HELLO", "3")
        client.ask("SUBSCRIBE", "news")
        for n in range(5):
            client.send(load.command("PUBLISH", "news", n) + load.command("GET", f"k{n}"))
            kinds = [client.reply() for _ in range(3)]
            assert any(isinstance(reply, list) for reply in kinds), kinds
    spans = calls(agent.stop(), server)
    equal(sum(s.operations for s in spans if "PUBLISH" in s.name or "GET" in s.name
              or "PIPELINE" in s.name), 10, f"commands in {[s.name for s in spans]}")


def test_blocking_command_has_its_time():
    server = servers.Redis()
    agent = Agent()
    with load.Redis(server.port) as client:
        begun = time.monotonic()
        client.ask("BLPOP", "nothing", "0.5")
        took = time.monotonic() - begun
    span = one(calls(agent.stop(), server, "BLPOP"))
    assert 0.45 < span.seconds <= took, (span, took)


def test_large_values():
    server = servers.Redis()
    agent = Agent()
    with load.Redis(server.port) as client:
        for _ in range(5):
            client.ask("SET", "large", b"\r\n*1\r\n$4\r\nPING\r\n" * 50000)
            client.ask("GET", "large")
        client.ask("STRLEN", "large")
    spans = agent.stop()
    for name, count in (("SET", 5), ("GET", 5), ("STRLEN", 1), ("PING", 0)):
        equal(len(calls(spans, server, name)), count, name)
    assert not any(s["spanloom.incomplete"] for s in calls(spans, server, "STRLEN"))


def test_inline_commands():
    server = servers.Redis()
    agent = Agent()
    with load.Redis(server.port) as client:
        for line in (b"PING\r\n", b"SET a b\r\n", b"get a\r\n"):
            client.send(line)
            client.reply()
    names = {span["db.operation.name"] for span in calls(agent.stop(), server)}
    equal(names, {"PING", "SET", "get"}, "commands, as they were sent")


# ---- ways to connect --------------------------------------------------------------------


def test_unix_socket():
    server = servers.Redis()
    agent = Agent()
    run("redis-cli", "-s", server.socket, "SET", "over-unix", "1")
    found = [s for s in agent.stop() if s["db.query.text"] == "SET over-unix ?"]
    equal(one(found)["server.address"], str(server.socket), "server.address")


def test_ipv6():
    server = servers.Redis()
    agent = Agent()
    run("redis-cli", "-h", "::1", "-p", server.port, "SET", "over-ipv6", "1")
    equal(one(calls(agent.stop(), server, "SET"))["network.peer.address"], "::1", "peer")


def test_connection_older_than_the_agent():
    server = servers.Redis()
    clients = [load.Redis(server.port) for _ in range(4)]
    for client in clients:
        client.ask("PING")
    agent = Agent()
    for n in range(50):
        for client in clients:
            client.ask("SET", f"k{n}", "v")
    spans = agent.stop()
    equal(len(calls(spans, server, "SET")), 200, "SET")
    # which database they use was said before we came
    assert all(span["db.namespace"] is None for span in calls(spans, server, "SET"))


def test_joining_in_the_middle_of_a_reply():
    server = servers.Redis()
    value = b"*1\r\n$4\r\nPING\r\n+OK\r\n" * 100000
    with load.Redis(server.port) as client:
        client.ask("SET", "large", value)
        client.send(load.command("GET", "large"))
        client.exactly(1000)
        agent = Agent()
        client.exactly(len(value) + len(b"$%d\r\n\r\n" % len(value)) - 1000)
        for n in range(5):
            client.ask("INCR", "late")
    spans = calls(agent.stop(), server)
    names = re.sub(r"[\[\]']", "", str([span.name for span in spans]))
    equal(len([s for s in spans if s.name == "INCR"]), 5, f"INCR in {names}")
    equal(len(spans), 5, f"spans, and none invented: {names}")
