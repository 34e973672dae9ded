# SPDX-License-Identifier: Apache-2.0
"""Programs that are asked in plain text and over TLS: what is not seen has no span, and its calls
are not those of what is.

Each request has a number, which the program's call has, too.
"""

import ssl

import load
import servers
from agent import Agent
from harness import equal, folder, free_port, in_threads, listening, once, run, wait_until
from spans import CLIENT, SERVER, at_port
from test_stitching import number_of

ROUNDS = 100
CALLER = "1234567890abcdef"
HEADER = f"traceparent: 00-{'5' * 32}-{CALLER}-01\r\n"

NODE = """
const http = require('http'), https = require('https'), fs = require('fs');
const [port, tls, back, key, cert] = process.argv.slice(2);
const serve = ({ url, headers: { traceparent } }, response) => setTimeout(() => {
	const headers = traceparent ? { traceparent } : {};
	http.get({ host: '127.0.0.1', port: back, path: url, headers }, (answer) => {
		answer.resume();
		answer.on('end', () => response.end('ok'));
	});
}, Math.random() * 3);
http.createServer(serve).listen(port, '127.0.0.1').keepAliveTimeout = 0;
https.createServer({ key: fs.readFileSync(key), cert: fs.readFileSync(cert) }, serve)
	.listen(tls, '127.0.0.1');
"""

SLOW = servers.SERVING + """
import time
class Handler(Answers):
    def do_GET(self):
        time.sleep(0.003)
        self.answer()
serve(Handler, int(sys.argv[1]))
"""


@once
def identity():
    """A key and its certificate."""
    key, cert = folder() / "key.pem", folder() / "cert.pem"
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost",
        "-keyout", key, "-out", cert)
    return key, cert


def slow():
    port = free_port()
    servers.python_program(SLOW, str(port))
    wait_until(lambda: listening(port), "the program to listen")
    return port


def nginx(back):
    """Its ports for plain text and for TLS."""
    (key, cert), tls = identity(), free_port()
    front = servers.Nginx(f"""
		listen 127.0.0.1:{tls} ssl;
		ssl_certificate {cert};
		ssl_certificate_key {key};
		location /front/ {{ proxy_pass http://127.0.0.1:{back}; }}""")
    return front.port, tls


def node(back):
    ports = free_port(), free_port()
    servers.node_program(NODE, *map(str, (*ports, back, *identity())))
    wait_until(lambda: all(map(listening, ports)), "the program to listen")
    return ports


class Tls(load.Http):
    def __init__(self, port):
        super().__init__(port)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket)


def ask(kind, port, first, headers):
    with kind(port) as http:
        for number in range(first, first + ROUNDS):
            equal(http.get(f"/front/{number}", headers)[0], 200, "status")


def wrong(spans, port, calls):
    """Calls below a request that is not theirs."""
    served = {span.span_id: span for span in at_port(spans, port, SERVER)}
    return [(call, served.get(call.parent_id)) for call in calls
            if call.parent_id not in ("", CALLER) and
            (call.parent_id not in served or
             number_of(served[call.parent_id]) != number_of(call))]


def judge(start, headers, *options):
    """Links of the calls of both kinds of requests, which come at once, and why they are none."""
    back = slow()
    port, tls = start(back)
    agent = Agent("--exclude-exe", "python3*", *options)
    with Tls(tls) as first:
        first.get("/front/0", headers)
    in_threads(lambda index: ask(*((load.Http, port, 1) if index else (Tls, tls, 1000)), headers),
               2)
    spans = agent.stop()
    calls = at_port(spans, back, CLIENT)
    equal(len(calls), 2 * ROUNDS + 1, "calls")
    equal(len(at_port(spans, port, SERVER)), ROUNDS, "requests that are seen")
    equal(wrong(spans, port, calls), [], "calls below another's request")
    return ({call["spanloom.link"] for call in calls},
            {call["spanloom.root"] for call in calls} - {None})


def test_nginx_that_serves_tls_too():
    """While it serves none that is seen, its calls seem to be behind the responses; and apart from
    all requests before it has served one."""
    links, causes = judge(nginx, "")
    equal(links, {"none"}, "links")
    assert {"unseen_requests"} <= causes <= {"unseen_requests", "behind_response", "apart"}, causes


def test_nginx_that_is_given_one_header_twice():
    equal(judge(nginx, HEADER), ({"header"}, set()), "links")


def test_node_that_is_given_one_header_twice():
    equal(judge(node, HEADER), ({"header"}, set()), "links")
