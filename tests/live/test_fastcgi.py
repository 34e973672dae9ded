# SPDX-License-Identifier: Apache-2.0
"""FastCGI: nginx hands requests on to PHP-FPM, whose calls belong to them up to the end of the
response; and a client of our own says what nginx does not."""

import re
from pathlib import Path

import fastcgi
import load
import servers
from agent import Agent
from harness import Skip, equal, folder, in_threads, listening, spawn, wait_until
from spans import CLIENT, SERVER, at_port
from test_hostile import noise, spoiled, throw
from test_stitching import ask, judge, number_of

REQUESTS, CONNECTIONS = 120, 8
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

SCRIPT = r"""<?php
$number = basename($_SERVER['REQUEST_URI']);
function get($key) {
	$redis = stream_socket_client('tcp://127.0.0.1:' . getenv('REDIS_PORT'));
	fwrite($redis, "*2\r\n\$3\r\nGET\r\n\$" . strlen($key) . "\r\n$key\r\n");
	fread($redis, 100);
}
header('Content-Type: text/plain');
if ($number % 10 == 7)
	http_response_code(503);
get("key:$number");
usleep(random_int(0, 2000));
echo str_repeat('x', $number % 3 * 9000 + 1);
flush();
$body = file_get_contents('php://input');
get("again:$number");
echo strlen($body);
fastcgi_finish_request();
get("late:$number");
"""

RELAY = """<?php
$web = stream_socket_client('tcp://127.0.0.1:' . getenv('WEB_PORT'));
fwrite($web, "GET /relay HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n");
echo stream_get_contents($web);
"""


class Scene:
    """PHP-FPM, and what it calls."""

    def __init__(self, unix=False, workers=8):
        self.redis = servers.Redis()
        self.script = folder() / "index.php"
        self.script.write_text(SCRIPT)
        self.fpm = servers.PhpFpm(workers, unix, {"REDIS_PORT": str(self.redis.port)})

    def nginx(self, keep):
        pool = f"upstream pool {{ server {self.fpm.upstream}; keepalive 4; }}" if keep else ""
        return servers.Nginx(beside=pool, extra=self.fpm.location(
            "/front/", self.script, upstream="pool" if keep else None, keep="on" if keep else "off"))

    def values(self, number, method="GET", **more):
        return {"SCRIPT_FILENAME": str(self.script), "REQUEST_METHOD": method,
                "REQUEST_URI": f"/front/{number}", "HTTP_HOST": "shop.example", **more}

    def stop(self, agent, requests):
        """The spans, when what follows the responses has been, too."""
        wait_until(lambda: self.redis.calls("get") >= 3 * requests, "the calls")
        return agent.stop()

    def calls(self, spans):
        """(those that belong to a request, those made behind its end)"""
        calls = [span for span in at_port(spans, self.redis.port, CLIENT) if number_of(span)]
        late = [span for span in calls if "late:" in str(span["db.query.text"])]
        return [span for span in calls if span not in late], late


def sides(spans):
    """(the web server's, the application's)"""
    ours = [span for span in spans if span.scope == "spanloom/fastcgi"]
    return [[span for span in ours if span.kind == kind] for kind in (CLIENT, SERVER)]


def check(scene, spans, count, what):
    """@count requests: their calls, and the edge between the two ends."""
    callers, served = sides(spans)
    calls, late = scene.calls(spans)
    equal([len(callers), len(served), len(calls), len(late)], [count, count, 2 * count, count],
          f"spans: {what}")
    equal(judge(spans, served + calls), {"right": 3 * count, "wrong": 0, "none": 0}, what)
    equal(judge(spans, late)["none"], count, f"calls behind the response: {what}")
    equal({span["spanloom.link"] for span in served}, {"peer"}, f"links of servers: {what}")
    equal({span["spanloom.link"] for span in calls}, {"thread"}, f"links of calls: {what}")
    callers = {span.span_id: span for span in callers}
    for span in served:
        caller, failed = callers[span.parent_id], int(span["url.path"][-1]) == 7
        assert caller.start_ns <= span.start_ns <= span.end_ns <= caller.end_ns, (caller, span)
        equal([span.name, span["http.response.status_code"], span["error.type"]],
              ["GET /front/{id}", *((503, "503") if failed else (200, None))], f"span: {what}")
        assert caller["url.full"].endswith(span["url.path"]), (caller, span)


def check_nginx(unix, keep):
    scene = Scene(unix)
    nginx = scene.nginx(keep)
    agent = Agent()
    ask(nginx.port, CONNECTIONS, REQUESTS)
    check(scene, scene.stop(agent, REQUESTS), REQUESTS, f"nginx, unix: {unix}, kept: {keep}")


def test_nginx_port():
    check_nginx(unix=False, keep=False)


def test_nginx_port_kept():
    check_nginx(unix=False, keep=True)


def test_nginx_unix_socket():
    check_nginx(unix=True, keep=False)


def test_nginx_unix_socket_kept():
    check_nginx(unix=True, keep=True)


def test_one_by_one_all_is_one_trace():
    scene = Scene()
    nginx = scene.nginx(keep=False)
    agent = Agent()
    ask(nginx.port, 1, 30)
    spans = agent.stop()
    callers, _ = sides(spans)
    equal(judge(spans, callers), {"right": 30, "wrong": 0, "none": 0}, "nginx's own calls")
    equal({span["spanloom.link"] for span in callers}, {"turn"}, "links of nginx's own calls")


def test_a_header_that_nginx_passes_on():
    """It names whom nginx has it from: what is in between stands in between."""
    scene = Scene()
    nginx = scene.nginx(keep=False)
    agent = Agent("--inject", "off")
    headers = f"traceparent: 00-{TRACE}-{PARENT}-01\r\n"

    def work(index):
        with load.Http(nginx.port) as http:
            for number in range(index, 60, 4):
                http.get(f"/front/{number}", headers.replace(PARENT, f"{number + 1:016x}"))

    in_threads(work, 4)
    spans = scene.stop(agent, 60)
    check(scene, spans, 60, "with a header")
    callers, served = sides(spans)
    equal(judge(spans, callers), {"right": 60, "wrong": 0, "none": 0}, "nginx's own calls")
    equal({span.trace_id for span in callers + served}, {TRACE}, "traces")


APACHE_PROXY = """
ProxyPass "/front/" "unix:{socket}|fcgi://localhost/"
ProxyFCGISetEnvIf true SCRIPT_FILENAME {script}
"""


def test_apache():
    """It sends a record at a time; its threads serve one request each."""
    modules = Path("/usr/lib/apache2/modules")
    if not servers.apache_command() or not (modules / "mod_proxy_fcgi.so").exists():
        raise Skip("no Apache with mod_proxy_fcgi on this machine")
    scene = Scene(unix=True)
    port, command = servers.apache(
        modules, ("mpm_event", "authz_core", "proxy", "proxy_fcgi"),
        APACHE_PROXY.format(socket=scene.fpm.socket, script=scene.script))
    spawn(command, log="apache.log")
    wait_until(lambda: listening(port), "Apache to listen")
    agent = Agent()

    def work(index):
        for number in range(index, REQUESTS, CONNECTIONS):
            with load.Http(port) as http:
                http.get(f"/front/{number}", "Connection: close\r\n")

    in_threads(work, CONNECTIONS)
    spans = scene.stop(agent, REQUESTS)
    check(scene, spans, REQUESTS, "Apache")
    callers, _ = sides(spans)
    equal(judge(spans, callers), {"right": REQUESTS, "wrong": 0, "none": 0}, "Apache's own calls")


# ---- a client of our own ----------------------------------------------------------------


def play(scene, count, keep, send):
    """@count requests; @send(client, bytes) has its own way to send them."""
    def one(client, number):
        body = b"b" * (number % 3 * 30000)
        method = "POST" if body else "GET"
        more = {"CONTENT_LENGTH": str(len(body))} if body else {}
        send(client, fastcgi.request(scene.values(number, method, **more), body, keep,
                                     padding=number % 8))
        out = client.response()
        assert out.endswith(str(len(body)).encode()), out[-20:]

    if keep:
        with fastcgi.Client(scene.fpm.address) as client:
            for number in range(count):
                one(client, number)
        return
    for number in range(count):
        with fastcgi.Client(scene.fpm.address) as client:
            one(client, number)


def in_pieces(client, data):
    """All behind BEGIN_REQUEST, byte by byte at first."""
    client.send(data[:16])
    for at in range(16, 400):
        client.send(data[at:at + 1])
    client.send(data[400:])


def check_client(unix):
    scene = Scene(unix)
    agent = Agent()
    for keep in (0, fastcgi.KEEP):
        play(scene, 30, keep, fastcgi.Client.send)
        play(scene, 6, keep, in_pieces)
    spans = scene.stop(agent, 72)
    _, served = sides(spans)
    calls, late = scene.calls(spans)
    equal([len(served), len(calls), len(late)], [72, 144, 72], "spans")
    equal(judge(spans, calls), {"right": 144, "wrong": 0, "none": 0}, "calls")
    equal([judge(spans, served)["wrong"], judge(spans, late)["none"]], [0, 72], "servers, late")


def test_client_port():
    check_client(unix=False)


def test_client_unix_socket():
    check_client(unix=True)


def test_parameters_of_64_kilobytes():
    """More than is captured: what comes first is known, and that it is not all."""
    scene = Scene()
    agent = Agent()
    for number in range(10):
        with fastcgi.Client(scene.fpm.address) as client:
            client.ask(scene.values(number, HTTP_COOKIE="c" * 64000))
    spans = agent.stop()
    _, served = sides(spans)
    calls, _ = scene.calls(spans)
    equal(len(served), 10, "spans")
    equal(judge(spans, calls), {"right": 20, "wrong": 0, "none": 0}, "calls")
    equal({span["spanloom.incomplete"] for span in served}, {True}, "incomplete")
    equal({span["url.path"] for span in served}, {f"/front/{i}" for i in range(10)}, "paths")


def test_the_header_of_a_client_that_is_not_traced():
    scene = Scene()
    agent = Agent("--exclude-exe", "*python*")
    with fastcgi.Client(scene.fpm.address) as client:
        client.ask(scene.values(1, HTTP_TRACEPARENT=f"00-{TRACE}-{PARENT}-01",
                                HTTP_TRACESTATE="vendor=x"))
    spans = agent.stop()
    _, served = sides(spans)
    calls, _ = scene.calls(spans)
    equal([(span.trace_id, span.parent_id, span.trace_state, span["spanloom.link"])
           for span in served], [(TRACE, PARENT, "vendor=x", "header")], "the server's span")
    equal({span.trace_id for span in calls}, {TRACE}, "traces of calls")


def show_head(http):
    """A server that answers with the request's head."""
    head = http.until(b"\r\n\r\n")
    http.send(b"HTTP/1.1 200 OK\r\n\r\n" + head)


def test_the_trace_goes_on_in_headers():
    """The kernel knows the context of a request before PHP has read it: what is sent on its behalf
    says so, and the spans say the same."""
    web = servers.Script(show_head)
    script = folder() / "relay.php"
    script.write_text(RELAY)
    fpm = servers.PhpFpm(env={"WEB_PORT": str(web.port)})
    agent = Agent("--inject", "on", "--port", f"{fpm.port},{web.port}")
    sent, parents = [], [None, *(f"{number:016x}" for number in range(1, 20))]
    with fastcgi.Client(fpm.address) as client:  # that this is no HTTP is learned with its first bytes
        client.ask({"SCRIPT_FILENAME": str(script), "REQUEST_METHOD": "GET"})
    for keep in (0, fastcgi.KEEP):
        with fastcgi.Client(fpm.address) as client:
            for parent in parents if keep else parents[:1]:
                header = {"HTTP_TRACEPARENT": f"00-{TRACE}-{parent}-01",
                          "HTTP_TRACESTATE": f"vendor={parent}"} if parent else {}
                out = client.ask({"SCRIPT_FILENAME": str(script), "REQUEST_METHOD": "GET",
                                  "HTTP_COOKIE": "c" * 3 * len(sent), **header}, keep=keep)
                sent.append((parent, *re.findall(rb"traceparent: 00-(\w+)-(\w+)-\w+\r\n"
                                                 rb"(tracestate: \S+\r\n)?", out)))
    spans = agent.stop()
    by_id = {span.span_id: span for span in spans}
    equal([len(found) for found in sent], [2] * 21, f"headers: {sent}")
    for parent, (trace, caller, state) in sent:
        call = by_id[caller.decode()]
        server = by_id[call.parent_id]
        equal([call.trace_id, server.scope, server.kind], [trace.decode(), "spanloom/fastcgi", SERVER],
              "a call's trace, and below which span")
        client = by_id[server.parent_id]
        if parent:
            equal([trace.decode(), client.parent_id, state.decode()],
                  [TRACE, parent, f"tracestate: vendor={parent}\r\n"], "what came is continued")


def test_noise():
    """Whatever is said to it: PHP-FPM's next requests have their calls."""
    scene = Scene()
    agent = Agent()
    original = fastcgi.request(scene.values(1), b"body")
    for data in [*noise(20), *spoiled(original, 60)]:
        throw(scene.fpm.port, data)
    for number in range(1000, 1050):
        with fastcgi.Client(scene.fpm.address) as client:
            client.ask(scene.values(number))
    spans = agent.stop()
    calls, _ = scene.calls(spans)
    equal(judge(spans, calls)["wrong"], 0, "wrong parents")
    behind = [span for span in calls if int(number_of(span)) >= 1000]
    equal(judge(spans, behind)["right"], 100, "right ones behind the noise")
