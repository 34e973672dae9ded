# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL through psql, pgbench and a client of our own; the server counts."""

import subprocess
import threading
import time

import load
import servers
from agent import Agent
from harness import equal, folder, run, spawn, wait_until
from spans import CLIENT, ERROR, UNSET, at_port, one

SELECT = "SELECT abalance%"
SUMMARY = "SELECT pgbench_accounts"


def calls(spans, server, summary=None):
    """The client's spans of this server, by summary."""
    return [span for span in at_port(spans, server.port, CLIENT)
            if summary is None or span["db.query.summary"] == summary]


def operations(spans):
    return sum(span.operations for span in spans)


# ---- recall -----------------------------------------------------------------------------


def pgbench_select(mode, connections, transactions):
    server = servers.Postgres()
    agent = Agent()
    out = server.pgbench("-S", "-n", "-M", mode, "-c", connections, "-t", transactions)
    spans = agent.stop()
    expected = connections * transactions
    equal(server.calls(SELECT), expected, "executions that the server counted\n" + out)
    found = calls(spans, server, SUMMARY)
    equal(operations(found), expected, "queries in spans")
    assert all(s.status == UNSET and s["spanloom.incomplete"] is None for s in found)
    assert not any(span.kind != CLIENT for span in at_port(spans, server.port))


def test_simple_1_connection():
    pgbench_select("simple", 1, 2000)


def test_simple_16_connections():
    pgbench_select("simple", 16, 200)


def test_simple_64_connections():
    pgbench_select("simple", 64, 50)


def test_extended_1_connection():
    pgbench_select("extended", 1, 2000)


def test_extended_16_connections():
    pgbench_select("extended", 16, 200)


def test_extended_64_connections():
    pgbench_select("extended", 64, 50)


def test_prepared_1_connection():
    pgbench_select("prepared", 1, 2000)


def test_prepared_16_connections():
    pgbench_select("prepared", 16, 200)


def test_prepared_64_connections():
    pgbench_select("prepared", 64, 50)


def test_whole_transactions():
    """pgbench's own transaction: seven statements each."""
    server = servers.Postgres()
    agent = Agent()
    server.pgbench("-n", "-c", 8, "-t", 50)
    spans = agent.stop()
    for pattern, summary in (("UPDATE pgbench_accounts%", "UPDATE pgbench_accounts"),
                             ("UPDATE pgbench_tellers%", "UPDATE pgbench_tellers"),
                             ("INSERT INTO pgbench_history%", "INSERT pgbench_history"),
                             (SELECT, SUMMARY)):
        equal(server.calls(pattern), 400, pattern)
        equal(operations(calls(spans, server, summary)), 400, summary)
    for word in ("BEGIN", "END"):
        equal(len([s for s in calls(spans, server) if s["db.query.text"] == f"{word};"
                   or s["db.query.text"] == word]), 400, word)


def test_pipelined():
    """libpq's pipeline mode: many executions before one Sync."""
    server = servers.Postgres()
    script = folder() / "pipeline.sql"
    one_query = "SELECT abalance FROM pgbench_accounts WHERE aid = 1;\n"
    script.write_text("\\startpipeline\n" + one_query * 10 + "\\endpipeline\n")
    agent = Agent()
    server.pgbench("-n", "-M", "extended", "-f", script, "-c", 8, "-t", 50)
    spans = agent.stop()
    equal(server.calls(SELECT), 4000, "executions that the server counted")
    found = [s for s in calls(spans, server) if SUMMARY in (s["db.query.summary"] or "")]
    equal(operations(found), 4000, "queries in spans")


# ---- attributes -------------------------------------------------------------------------


def test_attributes_of_a_query():
    server = servers.Postgres()
    agent = Agent()
    before = time.time_ns()
    server.psql("SELECT aid, 'hunter2' FROM pgbench_accounts WHERE aid IN (1, 2) -- x")
    after = time.time_ns()
    span = one(calls(agent.stop(), server, SUMMARY))
    assert before <= span.start_ns < span.end_ns <= after
    equal(span.name, SUMMARY, "name")
    equal(span.kind, CLIENT, "kind")
    equal(span.status, UNSET, "status")
    equal(span.scope, "spanloom/postgres", "scope")
    span.attributes.pop("db.response.returned_rows", None)
    text = span.attributes.pop("db.query.text")
    assert text.startswith("SELECT aid, ? FROM pgbench_accounts WHERE aid IN (?"), text
    equal(span.attributes, {
        "db.system.name": "postgresql", "db.namespace": "shop", "db.query.summary": SUMMARY,
        "server.address": "127.0.0.1", "server.port": server.port, "spanloom.link": "none"},
        "attributes")
    assert b"hunter2" not in b"".join(agent.sink.bodies), "a literal left the host"


def test_error_has_its_sqlstate():
    server = servers.Postgres()
    agent = Agent()
    server.psql("SELECT * FROM no_such_table", ok=(1,))
    server.psql("SELECT 1/0", ok=(1,))
    spans = agent.stop()
    missing = one(calls(spans, server, "SELECT no_such_table"))
    zero = one([s for s in calls(spans, server) if s["db.query.text"] == "SELECT ?/?"])
    for span, state in ((missing, "42P01"), (zero, "22012")):
        equal(span.status, ERROR, "status")
        equal(span["db.response.status_code"], state, "SQLSTATE")
        equal(span["error.type"], state, "error.type")


def test_wrong_database_is_no_crash():
    server = servers.Postgres()
    agent = Agent()
    server.psql("SELECT 1", database="nowhere", ok=(2,))
    server.psql("SELECT 7")
    spans = agent.stop()
    assert one([s for s in calls(spans, server) if s["db.query.text"] == "SELECT ?"])


def test_error_in_a_pipeline_skips_to_sync():
    server = servers.Postgres()
    agent = Agent("--port", str(server.port))
    with load.Pg(server.port) as client:
        good = load.parse("SELECT 1") + load.bind() + load.execute()
        bad = load.parse("SELECT 1 FROM nowhere") + load.bind() + load.execute()
        client.ask(good + bad + good + good + load.sync())
        client.ask(load.query("SELECT 2"))
    spans = calls(agent.stop(), server)
    equal(agent.ledger["flow.responses.unmatched"], 0, "responses without a request")
    last = max(spans, key=lambda span: span.start_ns)
    equal((last["db.query.text"], last.status), ("SELECT ?", UNSET), "the query after it")
    assert any(span["error.type"] == "42P01" for span in spans), spans


# ---- ways to connect --------------------------------------------------------------------


def test_ssl_refused():
    """psql asks for TLS first; the server says no, and the same connection goes on."""
    server = servers.Postgres()
    agent = Agent()
    run("psql", f"host=127.0.0.1 port={server.port} user=postgres dbname=shop sslmode=prefer "
        "gssencmode=prefer", "-X", "-c", "SELECT 11")
    assert one([s for s in calls(agent.stop(), server) if s["db.query.text"] == "SELECT ?"])


def test_unix_socket():
    server = servers.Postgres()
    agent = Agent()
    server.psql("SELECT bid FROM pgbench_branches", host=str(server.dir))
    found = [s for s in agent.stop() if s["db.query.summary"] == "SELECT pgbench_branches"
             and str(server.dir) in str(s["server.address"])]
    span = one(found)
    equal(span["server.address"], f"{server.dir}/.s.PGSQL.{server.port}", "server.address")
    equal(span["db.namespace"], "shop", "database")


def test_ipv6():
    server = servers.Postgres()
    agent = Agent()
    server.psql("SELECT bid FROM pgbench_branches", host="::1")
    span = one(calls(agent.stop(), server, "SELECT pgbench_branches"))
    equal(span["server.address"], "::1", "server.address")


# ---- what else PostgreSQL can do --------------------------------------------------------


def test_copy_both_ways():
    server = servers.Postgres()
    rows = folder() / "rows"
    rows.write_text("".join(f"{n}\t{n}\n" for n in range(50000)))
    rows.chmod(0o644)
    server.psql("CREATE TABLE many (a int, b int)")
    agent = Agent()
    with open(rows, encoding="ascii") as data:
        server.psql("COPY many FROM STDIN", stdin=data)
    equal(len(server.psql("COPY many TO STDOUT").splitlines()), 50000, "rows")
    server.psql("SELECT count(*) FROM many")
    spans = agent.stop()
    for start in ("COPY many FROM", "COPY many TO", "SELECT count"):
        span = one([s for s in calls(spans, server)
                    if (s["db.query.text"] or "").startswith(start)], start)
        equal(span.status, UNSET, "status of " + start)
        if start != "COPY many TO":  # its rows are not captured
            equal(span["spanloom.incomplete"], None, "incomplete: " + start)


def test_large_result():
    server = servers.Postgres()
    agent = Agent()
    server.psql("SELECT aid, filler FROM pgbench_accounts")  # about 12 MB
    with load.Pg(server.port) as client:
        for _ in range(5):
            client.ask(load.query("SELECT filler FROM pgbench_tellers"))
    spans = agent.stop()
    equal(len(calls(spans, server, SUMMARY)), 1, "spans")
    equal(len(calls(spans, server, "SELECT pgbench_tellers")), 5, "spans")


def test_several_statements_in_one_query():
    server = servers.Postgres()
    agent = Agent()
    with load.Pg(server.port) as client:
        client.ask(load.query("BEGIN; SELECT bid FROM pgbench_branches; COMMIT"))
        client.ask(load.query(""))
        client.ask(load.query("SELECT tid FROM pgbench_tellers"))
    spans = calls(agent.stop(), server)
    assert any("pgbench_branches" in (s["db.query.text"] or "") for s in spans), spans
    equal(len([s for s in spans if s["db.query.summary"] == "SELECT pgbench_tellers"]), 1, "spans")


def test_cancel():
    server = servers.Postgres()
    agent = Agent()
    with load.Pg(server.port) as client:
        begun = time.monotonic()
        timer = threading.Timer(0.4, client.cancel, (server.port,))
        client.send(load.query("SELECT pg_sleep(60)"))
        timer.start()
        client.until_ready()
        took = time.monotonic() - begun
        timer.join()
        client.ask(load.query("SELECT tid FROM pgbench_tellers"))
    spans = calls(agent.stop(), server)
    span = one([s for s in spans if "pg_sleep" in (s["db.query.text"] or "")])
    equal(span["error.type"], "57014", "error.type")
    assert 0.35 < span.seconds < took < 55, (span, took)
    equal(len([s for s in spans if s["db.query.summary"] == "SELECT pgbench_tellers"]), 1, "spans")


def test_listen_and_notify():
    """Messages that nobody asked for are no answers."""
    server = servers.Postgres()
    agent = Agent()
    with load.Pg(server.port) as client:
        client.ask(load.query("LISTEN news"))
        for _ in range(3):
            server.psql("NOTIFY news, 'x'")
            client.until(b"news\0x\0")
        asked = time.time_ns()
        client.ask(load.query("SELECT tid FROM pgbench_tellers"))
        answered = time.time_ns()
    spans = calls(agent.stop(), server)
    span = one([s for s in spans if s["db.query.summary"] == "SELECT pgbench_tellers"])
    assert asked <= span.start_ns <= span.end_ns <= answered, (asked, span, answered)


def test_server_goes_away():
    server = servers.Postgres()
    agent = Agent()
    with load.Pg(server.port) as client:
        client.send(load.query("SELECT pg_sleep(60)"))
        wait_until(lambda: "t" in server.psql("SELECT pg_terminate_backend(pid) FROM "
                                              "pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"),
                   "the query to run")
        client.rest()
    span = one([s for s in calls(agent.stop(), server)
                if (s["db.query.text"] or "").startswith("SELECT pg_sleep(")])
    equal(span.status, ERROR, "status")
    assert span["error.type"] in ("57P01", "eof", "connection_reset"), span


# ---- connections older than the agent ---------------------------------------------------


def test_session_older_than_the_agent():
    server = servers.Postgres()
    psql = spawn(["psql", *server.address(), "-q", "-A", "-t"], stdin=subprocess.PIPE,
                 stdout=subprocess.PIPE, text=True, bufsize=1)

    def ask(sql):
        psql.stdin.write(sql + "\n")
        return psql.stdout.readline().strip()
    psql.stdin.write("PREPARE balance AS SELECT abalance FROM pgbench_accounts WHERE aid = $1;\n")
    equal(ask("SELECT 5;"), "5", "answer")
    agent = Agent()
    for _ in range(20):
        equal(ask("EXECUTE balance(3);"), "0", "answer")
    spans = calls(agent.stop(), server)
    found = [s for s in spans if (s["db.query.text"] or "").startswith("EXECUTE balance")]
    equal(len(found), 20, "spans")


def test_statement_prepared_before_the_agent():
    """Its text is not known, but each execution is a span."""
    server = servers.Postgres()
    text = "SELECT abalance FROM pgbench_accounts WHERE aid = $1"
    with load.Pg(server.port) as client:
        client.ask(load.parse(text, "named") + load.sync())
        agent = Agent()
        for _ in range(50):
            client.ask(load.bind(3, name="named") + load.execute() + load.sync())
        client.ask(load.parse(text, "later") + load.sync())
        for _ in range(30):
            client.ask(load.bind(3, name="later") + load.execute() + load.sync())
    spans = calls(agent.stop(), server)
    equal(len([s for s in spans if s["db.query.text"] == text]), 30, "spans with a text")
    equal(len([s for s in spans if s["db.query.text"] is None]), 50, "spans without a text")


def test_joining_in_the_middle_of_a_result():
    server = servers.Postgres()
    with load.Pg(server.port) as client:
        client.send(load.query("SELECT repeat('Q', 200) FROM generate_series(1, 50000)"))
        client.exactly(1 << 20)
        agent = Agent()
        client.until(b"Z\0\0\0\5I")
        for _ in range(5):
            client.ask(load.query("SELECT tid FROM pgbench_tellers"))
    spans = calls(agent.stop(), server)
    equal(len([s for s in spans if s["db.query.summary"] == "SELECT pgbench_tellers"]), 5, "spans")
    equal(len(spans), 5, f"spans, and none invented: {spans}")


def test_server_spans_when_asked_for():
    server = servers.Postgres()
    agent = Agent("--db-server-spans")
    server.pgbench("-S", "-n", "-c", 4, "-t", 50)
    spans = agent.stop()
    both = [s for s in at_port(spans, server.port) if s["db.query.summary"] == SUMMARY]
    equal(len([s for s in both if s.kind == CLIENT]), 200, "client spans")
    equal(len([s for s in both if s.kind != CLIENT]), 200, "server spans")
