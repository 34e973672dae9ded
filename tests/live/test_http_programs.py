# SPDX-License-Identifier: Apache-2.0
"""Python and Node programs as they are."""

import servers
from agent import Agent
from harness import equal, free_port, listening, wait_until
from spans import CLIENT, SERVER, at_port, select

PYTHON_SERVER = servers.SERVING + """
class Handler(Answers):
    def do_GET(self):
        self.answer(b"hello")
    do_POST = do_GET
serve(Handler, int(sys.argv[1]))
"""

NODE_SERVER = """
const http = require('http');
http.createServer((request, response) => {
	request.resume();
	request.on('end', () => response.end('hello'));
}).listen(Number(process.argv[2]), '127.0.0.1').keepAliveTimeout = 0;
"""

NODE_CLIENT = """
const http = require('http');
const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
const port = Number(process.argv[2]);
const call = (n) => new Promise((resolve, reject) => {
	const options = { port, host: '127.0.0.1', path: '/node/' + n, agent };
	http.get(options, (r) => { r.resume(); r.on('end', resolve); }).on('error', reject);
});
Promise.all([...Array(400).keys()].map(call)).then(() => process.exit(0));
"""

PYTHON_CLIENT = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
for n in range(400):
    connection.request("POST", f"/python/{n}", body=b"x" * 3000)
    connection.getresponse().read()
"""


def program_pair(start_server, client):
    port = free_port()
    start_server(port)
    wait_until(lambda: listening(port), "the program to listen")
    agent = Agent()
    equal(client(port).wait(60), 0, "exit status of the client")
    spans = agent.stop()
    for kind in (SERVER, CLIENT):
        whole = select(at_port(spans, port, kind), {"http.response.status_code": 200})
        equal(len(whole), 400, f"spans of kind {kind}")
    return at_port(spans, port)


def test_python_server_and_node_client():
    spans = program_pair(lambda port: servers.python_program(PYTHON_SERVER, port),
                         lambda port: servers.node_program(NODE_CLIENT, port))
    names = {span.name for span in spans if span.kind == SERVER}
    equal(names, {"GET /node/{id}"}, "names: the number in the path is no part of it")


def test_node_server_and_python_client():
    spans = program_pair(lambda port: servers.node_program(NODE_SERVER, port),
                         lambda port: servers.python_program(PYTHON_CLIENT, port))
    names = {span.name for span in spans if span.kind == SERVER}
    equal(names, {"POST /python/{id}"}, "names: the number in the path is no part of it")
    equal({span.resource["telemetry.sdk.language"] for span in spans if span.kind == SERVER},
          {"nodejs"}, "language")
