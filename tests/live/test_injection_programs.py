# SPDX-License-Identifier: Apache-2.0
"""Injection into the requests of real clients: what they send is what they send without it.

Each client runs bare, then under the agent, against strict_server.py, and prints its answers.
"""

import json
import shutil

import http_wire
import servers
from agent import Agent
from harness import Skip, equal, folder, run, takes

from torture import INJECT, TRACEPARENT, Strict, Torture

PYTHON = """
import http.client, io, sys, urllib.request
port = int(sys.argv[1])
url = f"http://127.0.0.1:{port}/n/"
connection = http.client.HTTPConnection("127.0.0.1", port)
for number in range(20):
    connection.request("POST", f"/n/{number}", body=b"x" * (number * 997))
    print(connection.getresponse().read().decode())
connection.request("PUT", "/n/20", body=io.BytesIO(b"GET / HTTP/1.1\\r\\n\\r\\n" * 2000))
print(connection.getresponse().read().decode())
connection.request("PUT", "/n/21", body=iter([b"GET / HTTP/1.1\\r\\n\\r\\n"] * 30), encode_chunked=True)
print(connection.getresponse().read().decode())
for number in (22, 23):
    print(urllib.request.urlopen(url + str(number), b"y" * 1000000).read().decode())
"""

NODE = """
const http = require('http');
const port = Number(process.argv[2]);
const agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
const call = (number, body) => new Promise((resolve, reject) => {
	const method = body ? 'POST' : 'GET';
	const headers = body && body.length < 5000 ? { 'Content-Length': body.length } : {};
	const request = http.request({ host: '127.0.0.1', port, path: '/n/' + number, agent, method,
				       headers }, (answer) => {
		let text = '';
		answer.on('data', (data) => { text += data; });
		answer.on('end', () => { console.log(text); resolve(); });
	});
	request.on('error', reject);
	if (body)
		request.write(body.subarray(0, body.length >> 1));
	request.end(body && body.subarray(body.length >> 1));
});
(async () => {
	for (let number = 0; number < 20; number++)
		await call(number, number % 2 ? Buffer.alloc(number * 997, 'GET / HTTP/1.1\\r\\n\\r\\n') : null);
	await call(20, Buffer.alloc(1000000, 'b'));
	await Promise.all([...Array(20).keys()].map((n) => call(100 + n, null)));
	for (let number = 200; number < 210; number++) {
		const body = number % 2 ? { method: 'POST', body: 'c'.repeat(number * 500) } : {};
		console.log(await (await fetch(`http://127.0.0.1:${port}/n/${number}`, body)).text());
	}
	process.exit(0);
})();
"""

GO = """
package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
)

type plain struct{ io.Reader } // of unknown length: sent in chunks

func call(number int, body io.Reader) {
	url := fmt.Sprintf("http://127.0.0.1:%s/n/%d", os.Args[1], number)
	answer, err := http.Post(url, "text/plain", body)
	if err != nil {
		panic(err)
	}
	text, _ := io.ReadAll(answer.Body)
	answer.Body.Close()
	fmt.Println(string(text))
}

func main() {
	text := []byte("GET / HTTP/1.1\\r\\n\\r\\n")
	for i := 0; i < 20; i++ {
		call(i, bytes.NewReader(bytes.Repeat(text, i*50)))
	}
	call(20, bytes.NewReader(bytes.Repeat(text, 60000)))
	call(21, plain{bytes.NewReader(bytes.Repeat([]byte("a chunk, "), 100000))})
	var all sync.WaitGroup
	for i := 100; i < 140; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			call(i, nil)
		}()
	}
	all.Wait()
}
"""


def reports(text):
    """{number: report} of the answers that a client has printed, one in a line."""
    found = [report for line in text.splitlines() for report in json.loads(line)]
    by = {int(report["head"].split("/n/")[1].split()[0]): report for report in found}
    equal(len(by), len(found), "different requests")
    return by


def same_but_for_the_header(client):
    """client(port) returns what the client has printed."""
    server = Strict()
    bare = reports(client(server.port))
    torture = Torture(server)
    agent = Agent(*INJECT, *server.only())
    injected = reports(client(server.port))
    server.check()
    spans = agent.stop()
    equal(sorted(injected), sorted(bare), "requests")
    for number, report in injected.items():
        head = report["head"].encode("latin-1")
        found = TRACEPARENT.findall(head)
        equal(len(found), 1, f"headers in {head!r}")
        equal(len(http_wire.values(head, b"traceparent")), 1, f"headers in {head!r}")
        torture.seen[number] = found[0].decode()
        rest = dict(report, head=TRACEPARENT.sub(b"", head).decode("latin-1"))
        equal(rest, bare[number], f"request {number} but for its header")
    torture.check_spans(spans)


def test_curl():
    def client(port):
        url = f"http://127.0.0.1:{port}/n/"
        file = folder() / "body"
        file.write_bytes(b"GET / HTTP/1.1\r\n\r\n" * 60000)
        curl = ["curl", "-sS", "-w", "\\n"]
        expect = ["-H", "Expect: 100-continue"]
        return (run(*curl, url + "[0-9]") + run(*curl, "--data-binary", f"@{file}", url + "10") +
                run(*curl, "-T", file, url + "11") +
                run(*curl, *expect, "--data-binary", f"@{file}", url + "12") +
                piped(*curl, "-T", "-", url + "13", file=file) +
                piped(*curl, *expect, "-T", ".", url + "14", file=file) +
                run(*curl, "-0", "-d", "http1.0", url + "15") +
                run(*curl, "-H", "Content-Type: x", "-d", "a=b", url + "[16-19]"))
    same_but_for_the_header(client)


def piped(*command, file):
    with open(file, "rb") as source:
        return run(*command, stdin=source)


def program(start):
    """Runs one of servers.py's programs to its end; what it printed."""
    def client(port):
        out = folder() / "printed"
        with open(out, "wb") as stdout:
            equal(start(port, stdout).wait(60), 0, "exit status of the client")
        return out.read_text()
    return client


def test_python():
    same_but_for_the_header(program(lambda port, out: servers.python_program(
        PYTHON, str(port), stdout=out)))


def test_node():
    same_but_for_the_header(program(lambda port, out: servers.node_program(
        NODE, str(port), stdout=out)))


@takes(400)
def test_go():
    if not shutil.which("go"):
        raise Skip("no Go compiler")
    source = folder() / "go" / "main.go"
    source.parent.mkdir()
    source.write_text(GO)
    run("go", "build", "-o", source.parent / "program", source, timeout=250)
    same_but_for_the_header(lambda port: run(source.parent / "program", port))
