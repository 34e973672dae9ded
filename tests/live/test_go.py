# SPDX-License-Identifier: Apache-2.0
"""Parents in Go programs: the goroutine is what serves a request.

As in test_stitching.py each request has a number, which stands in all that is done on its
behalf.
"""

import json
import os
import re
import shutil

import servers
from agent import Agent
from harness import (ROOT, SPANLOOM, Skip, equal, folder, free_port, run, spawn, status_of,
                     takes, wait_until)
from spans import CLIENT, SERVER, at_port
from test_stitching import ask, judge, started, threaded

GO = """
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

type conn struct {
	net.Conn
	*bufio.Reader
}

var (
	back string
	pool = make(chan *conn, 6)
)

func nap() { time.Sleep(time.Duration(rand.Intn(2000)) * time.Microsecond) }

func get(prefix, number string) {
	c := <-pool
	key := prefix + ":" + number
	fmt.Fprintf(c, "*2\\r\\n$3\\r\\nGET\\r\\n$%d\\r\\n%s\\r\\n", len(key), key)
	c.ReadString('\\n')
	pool <- c
}

func call(ctx context.Context, number string) {
	request, err := http.NewRequestWithContext(ctx, "GET", back+"/back/"+number, nil)
	if err != nil {
		panic(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err == nil {
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
	}
}

func main() {
	back = "http://127.0.0.1:" + os.Args[2]
	for i := 0; i < cap(pool); i++ {
		c, err := net.Dial("tcp", "127.0.0.1:"+os.Args[3])
		if err != nil {
			panic(err)
		}
		pool <- &conn{c, bufio.NewReader(c)}
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		number := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		nap()
		get("key", number)
		var children sync.WaitGroup
		for i := 0; i < 3; i++ {
			children.Add(1)
			go func() {
				defer children.Done()
				nap()
				get("child", number)
			}()
		}
		call(context.Background(), number)
		children.Add(1)
		go func() {
			defer children.Done()
			call(r.Context(), number)
		}()
		children.Wait()
		get("again", number)
		go func() { // outlives the response
			nap()
			nap()
			get("late", number)
		}()
		fmt.Fprint(w, "ok")
	})
	panic(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
"""


BUILT = SPANLOOM.with_name("go-program")  # of GO, for guests: tests/vm/run


def go_program(*flags):
    if not flags and os.environ.get("SPANLOOM_TEST_GUEST") and BUILT.exists():
        return BUILT
    if not shutil.which("go"):
        raise Skip("no Go compiler")
    source = folder() / "go" / "main.go"
    source.parent.mkdir()
    source.write_text(GO)
    program = source.parent / "program"
    run("go", "build", "-o", program, *flags, source, timeout=250)
    return program


def start_go(program, back, redis):
    return started(lambda *a: spawn([program, *a], log="go.log"), free_port(), back, redis.port)


def check_go(program, keys, *options, rounds=((1, 100), (8, 800), (64, 1600))):
    """@keys: of the calls that have a parent.  Those that outlive it have none.  Each round has
    servers of its own: no receive is under way when the agent comes, which hooks on functions
    would miss."""
    for connections, requests in rounds:
        redis, back = servers.Redis(), threaded()
        port, agent = start_go(program, back, redis), Agent(*options)
        ask(port, connections, requests)
        wait_until(lambda server=redis, wanted=6 * requests: server.calls("get") >= wanted,
                   "late calls")
        spans = agent.stop()
        calls = [span for span in at_port(spans, redis.port, CLIENT)
                 if span["db.operation.name"] == "GET"]
        others = at_port(spans, port, SERVER) + at_port(spans, back, CLIENT) + \
            at_port(spans, back, SERVER)
        missed = agent.ledger["kernel.programs.missed"]  # where the kernel preempts programs
        assert 6 * requests - missed <= len(calls) <= 6 * requests, f"{len(calls)} commands"
        assert 5 * requests - missed <= len(others) <= 5 * requests, f"{len(others)} other spans"
        seen = {span.span_id for span in spans}
        placed = [span for span in calls + others
                  if not missed or not span.parent_id or span.parent_id in seen]
        equal(judge(spans, placed)["wrong"], 0, f"wrong parents at {connections}")
        counts = judge(spans, others)
        assert counts["right"] >= 0.999 * 5 * requests - missed, (connections, counts)
        for key in keys:
            counts = judge(spans, [call for call in calls if key in str(call.attributes)])
            assert counts["right"] >= 0.999 * sum(counts.values()) - missed, \
                (connections, key, counts)


@takes(400)
def test_go_few_requests():
    check_go(go_program(), ["key:", "again:"], rounds=((1, 20), (8, 60)))


@takes(400)
def test_go_goroutines():
    check_go(go_program(), ["key:", "again:"])


@takes(400)
def test_go_children_are_likely():
    check_go(go_program(), ["key:", "again:", "child:"], "--links", "likely",
             rounds=((8, 400), (64, 960)))


@takes(400)
def test_go_stripped():
    check_go(go_program("-ldflags=-s -w", "-buildmode=pie"), ["key:", "again:"],
             rounds=((8, 400),))


def of_tomorrow(program):
    """The same program, by a Go that is not known yet."""
    version = run("go", "env", "GOVERSION").strip().encode()
    minor = version.split(b".")[1]
    patched = program.with_name("patched")
    patched.write_bytes(program.read_bytes().replace(b"go1." + minor, b"go1." + b"9" * len(minor)))
    patched.chmod(0o755)
    return patched


@takes(400)
def test_go_unknown_version():
    check_go(of_tomorrow(go_program()), ["key:", "again:"], rounds=((8, 400),))


@takes(400)
def test_go_unknown_version_stripped():
    """No link is made up, and spanloom says why there is none."""
    redis, back = servers.Redis(), threaded()
    program = of_tomorrow(go_program("-ldflags=-s -w"))
    port = start_go(program, back, redis)
    agent = Agent()
    listed = json.loads(run(SPANLOOM, "probes", "--json"))["go_processes"]
    ask(port, 8, 400)
    spans = agent.stop()
    calls = at_port(spans, redis.port, CLIENT) + at_port(spans, back, CLIENT)
    equal({span["spanloom.link"] for span in calls}, {"none"}, "links of calls")
    equal({span["spanloom.root"] for span in calls}, {"apart"}, "causes")
    equal({go["obstacle"] for go in listed if go["executable"] == str(program)},
          {"a version that is not known, without debugging information"}, "why")


DRIVERS = ("pgx", "sqlpgx", "pq", "tx", "redis", "pipe", "http", "close")


def drivers_program():
    """drivers/main.go, with modules from the proxy that Go is set up to use."""
    program = folder() / "drivers"
    source = ROOT / "tests" / "live" / "drivers"
    if not shutil.which("go"):
        raise Skip("no Go compiler")
    status, _, why = status_of("go", "mod", "download", cwd=source, timeout=250)
    if status:
        raise Skip(f"Go modules cannot be fetched: {why.splitlines()[-1]}")
    run("go", "build", "-o", program, ".", cwd=source, timeout=300,
        env=dict(os.environ, CGO_ENABLED="0"))
    return program


def share(spans, calls, by, driver):
    """Of the calls that a (h)andler, its (c)hildren or (w)orkers make through a driver.  Others are
    (t)oo short, une(x)pected, (g)athered with others or (l)ate."""
    return judge(spans, [call for call in calls
                         if re.search(rf"\b{by}_{driver}_", str(call.attributes))])


def check_drivers(connections, requests):
    """Each time a new program: what was prepared before the agent came has no name."""
    redis, postgres, back = servers.Redis(), servers.Postgres(), threaded()
    program = drivers_program()
    port = started(lambda *a: spawn([program, *a], log="drivers.log"), free_port(), back,
                   postgres.port, redis.port)
    agent = Agent()
    ask(port, connections, requests)
    spans = agent.stop()
    calls = [span for span in spans if span.kind == CLIENT and
             re.search(r"\b[a-z]_[a-z]+_\d", str(span.attributes))]
    equal(judge(spans, calls)["wrong"], 0, "wrong parents")
    for by in "hcw":
        for driver in DRIVERS:
            counts = share(spans, calls, by, driver)
            assert sum(counts.values()) >= requests, (by, driver, counts)
            assert counts["right"] >= 0.999 * sum(counts.values()), (by, driver, counts)


@takes(400)
def test_go_drivers_1_connection():
    check_drivers(1, 50)


@takes(400)
def test_go_drivers_8_connections():
    check_drivers(8, 320)


@takes(600)
def test_go_drivers_64_connections():
    check_drivers(64, 640)
