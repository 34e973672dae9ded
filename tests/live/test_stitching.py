# SPDX-License-Identifier: Apache-2.0
"""Parents: every span under the request that caused it, or under none.

Each request has a number, which stands in every path and key that is used on its behalf, so
the true parent of a span is known.  Wrong parents are never allowed.
"""

import re

import load
import servers
from agent import Agent
from harness import equal, free_port, in_threads, listening, wait_until
from spans import CLIENT, SERVER, at_port

THREADED = servers.SERVING + """
import http.client, os, random, threading, time
port, back, redis = map(int, sys.argv[1:4])
gate = sys.argv[4] if len(sys.argv) > 4 else None # a file that requests for /any/N wait for
own = threading.local()
def redis_get(key):
    if not redis:
        return
    if not hasattr(own, "redis"):
        own.redis = socket.create_connection(("127.0.0.1", redis))
    own.redis.sendall(f"*2\\r\\n$3\\r\\nGET\\r\\n${len(key)}\\r\\n{key}\\r\\n".encode())
    own.redis.recv(100)
def call_back(path):
    if not hasattr(own, "back"):
        own.back = http.client.HTTPConnection("127.0.0.1", back)
    own.back.request("GET", path)
    return own.back.getresponse().read()
class Handler(Answers):
    def do_GET(self):
        body = b"leaf"
        if gate and self.path.startswith("/any/"):
            open(gate + "-closed", "w").close()
            while not os.path.exists(gate):
                time.sleep(0.01)
        if back:
            number = self.path.rsplit("/", 1)[1]
            time.sleep(random.random() / 500)
            redis_get("key:" + number)
            body = call_back("/back/" + number)
            redis_get("again:" + number)
        self.answer(body)
serve(Handler, port)
"""

NODE = """
const http = require('http');
const [port, back] = process.argv.slice(2).map(Number);
const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
http.createServer((request, response) => {
	const path = '/back/' + request.url.split('/').pop();
	setTimeout(() => {
		http.get({ host: '127.0.0.1', port: back, path, agent }, (answer) => {
			answer.resume();
			answer.on('end', () => response.end('ok'));
		});
	}, Math.random() * 3);
}).listen(port, '127.0.0.1').keepAliveTimeout = 0;
"""


def started(program, *ports):
    program(*map(str, ports))
    wait_until(lambda: listening(ports[0]), "the program to listen")
    return ports[0]


def threaded(back=0, redis=0, *gate):
    return started(lambda *a: servers.python_program(THREADED, *a, log=f"threaded{a[0]}.log"),
                   free_port(), back, redis, *gate)


def ask(port, connections, requests):
    def work(index):
        with load.Http(("127.0.0.1", port)) as http:
            for number in range(index, requests, connections):
                http.get(f"/front/{number}")
    in_threads(work, connections)


def number_of(span):
    """None: a client's own command, such as redis-py's CLIENT SETINFO."""
    text = " ".join(str(value) for value in span.attributes.values())
    match = re.search(r"(?:front/|back/|any/|late/|[a-z]+:|[a-z]_[a-z]+_)(\d+)", text)
    return match and match[1]


def judge(spans, what):
    """{right, wrong, none} of spans that ought to have a parent."""
    by_id = {span.span_id: span for span in spans}
    counts = {"right": 0, "wrong": 0, "none": 0}
    for span in what:
        parent = by_id.get(span.parent_id)
        if not span.parent_id:
            counts["none"] += 1
        elif parent and number_of(parent) == number_of(span) and \
                parent.trace_id == span.trace_id and parent.start_ns <= span.start_ns:
            counts["right"] += 1
        else:
            counts["wrong"] += 1
    return counts


def check_threads(connections, requests):
    redis = servers.Redis()
    back = threaded()
    front = threaded(back, redis.port)
    agent = Agent()
    ask(front, connections, requests)
    spans = agent.stop()
    inner = [at_port(spans, front, SERVER), at_port(spans, back, CLIENT),
             at_port(spans, back, SERVER), at_port(spans, redis.port, CLIENT)]
    equal([len(part) for part in inner], [requests, requests, requests, 2 * requests], "spans")
    outer = at_port(spans, front, CLIENT)
    counts = judge(spans, sum(inner, []))
    equal(counts, {"right": 5 * requests, "wrong": 0, "none": 0},
          f"parents at {connections} connections")
    equal(len({span.trace_id for span in outer}), requests, "traces")
    equal({span["spanloom.link"] for span in outer}, {"none"}, "links of the roots")
    equal({span["spanloom.link"] for span in inner[0] + inner[2]}, {"peer"}, "links of servers")
    equal({span["spanloom.link"] for span in inner[1] + inner[3]}, {"thread"}, "links of calls")


def test_threads_1_connection():
    check_threads(1, 100)


def test_threads_8_connections():
    check_threads(8, 800)


def test_threads_64_connections():
    check_threads(64, 1600)


REFUSED = servers.SERVING + """
class Handler(Answers):
    def do_GET(self):
        for timeout in (None, 5): # waits in connect(), or in poll()
            with socket.socket() as it:
                it.settimeout(timeout)
                it.connect_ex(("127.0.0.1", int(sys.argv[2])))
        self.answer(status=502)
serve(Handler, int(sys.argv[1]))
"""


def test_refused_connections_belong_to_their_request():
    closed = free_port()
    front = started(lambda *a: servers.python_program(REFUSED, *a), free_port(), closed)
    agent = Agent()
    ask(front, 8, 80)
    spans = agent.stop()
    served = {span.span_id: span for span in at_port(spans, front, SERVER)}
    refused = at_port(spans, closed, CLIENT)
    equal(len(refused), 160, "refused connections")
    equal({span["spanloom.link"] for span in refused}, {"thread"}, "links")
    for span in refused:
        parent = served[span.parent_id]
        assert parent.start_ns <= span.start_ns and span.end_ns <= parent.end_ns, (parent, span)
    equal(len({span.parent_id for span in refused}), 80, "requests with refused connections")


def test_open_connection():
    """The first request on a connection that was there before spanloom."""
    port, count = threaded(), 20
    connections = [load.Http(port) for _ in range(count)]
    for connection in connections:
        connection.get("/back/0")
    agent = Agent()
    for number, connection in enumerate(connections, 1):
        connection.get(f"/back/{number}")
    counts = judge(agent.stop(), at_port(agent.spans, port, SERVER))
    equal(sum(counts.values()), count, "spans of the server")
    assert counts["right"] >= 0.8 * count and not counts["wrong"], counts


def check_loop(port, back, connections, requests, *options):
    agent = Agent(*options)
    ask(port, connections, requests)
    spans = agent.stop()
    calls = at_port(spans, back, CLIENT)
    equal(len(calls), requests, "calls")
    counts = judge(spans, calls + at_port(spans, back, SERVER) + at_port(spans, port, SERVER))
    equal(counts["wrong"], 0, f"wrong parents at {connections} connections")
    return counts


def check_loops(start, *options):
    """Never a wrong parent; how many have none where requests come one by one."""
    back = threaded()
    port = start(back)
    alone = check_loop(port, back, 1, 100, *options)
    check_loop(port, back, 8, 400)
    check_loop(port, back, 64, 640)
    return alone["none"]


def node(back):
    return started(lambda *a: servers.node_program(NODE, *a), free_port(), back)


def test_node_never_guesses():
    equal(check_loops(node), 100, "calls without a parent")


def test_node_one_by_one_is_likely():
    equal(check_loops(node, "--links", "likely"), 0, "calls without a parent")


def test_nginx_proxy_never_guesses():
    def proxy(back):
        return servers.Nginx(f"location /front/ {{ rewrite ^/front/(.*) /back/$1 break; "
                             f"proxy_pass http://127.0.0.1:{back}; }}").port
    equal(check_loops(proxy), 0, "calls without a parent")
