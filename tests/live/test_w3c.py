# SPDX-License-Identifier: Apache-2.0
"""The W3C's own test suite of Trace Context against programs that know nothing of it.

The suite posts a request to the program, which makes the calls that the request asks for and
copies no header; what arrives with the calls is the agent's alone.  The suite is fetched from
where it is published, at one commit, once; TRACE_CONTEXT_SUITE=FOLDER names a copy instead.
Its processes run under an interpreter of their own, which the agent is told to leave alone.
"""

import http.client
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.request
from pathlib import Path, PurePosixPath

import load
import servers
from agent import Agent
from harness import (ROOT, Skip, equal, folder, free_port, listening, run, spawn, status_of,
                     wait_until)
from test_loops import SILENCE
from torture import INJECT

COMMIT = "acab820be9db7b3433668baa5cdd43f57f4c4be0"
ARCHIVE = f"https://codeload.github.com/w3c/trace-context/tar.gz/{COMMIT}"
SUITE = ROOT / ".output" / "trace-context"
CASES = 41
CONTINUING = tuple(f"test_{name}" for name in """
    multiple_requests_with_valid_traceparent propagates_random_flag
    traceparent_header_name_valid_casing traceparent_included_tracestate_missing
    traceparent_ows_handling traceparent_version_0xcc tracestate_all_allowed_characters
    tracestate_duplicated_keys tracestate_empty_header tracestate_header_name_valid_casing
    tracestate_included_traceparent_included tracestate_key_illegal_vendor_format
    tracestate_key_length_limit tracestate_member_count_limit
    tracestate_multiple_headers_different_keys tracestate_ows_handling""".split())

PYTHON = servers.SERVING + """
import json, urllib.request
class Handler(Answers):
    def do_POST(self):
        for call in json.loads(self.rfile.read(int(self.headers["Content-Length"]))):
            request = urllib.request.Request(call["url"], json.dumps(call["arguments"]).encode(),
                                             {"Content-Type": "application/json"})
            urllib.request.urlopen(request).read()
        self.answer()
serve(Handler, int(sys.argv[1]))
"""

GO = """
package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		var calls []struct {
			Url       string
			Arguments json.RawMessage
		}
		json.NewDecoder(r.Body).Decode(&calls)
		for _, call := range calls {
			answer, err := http.Post(call.Url, "application/json", bytes.NewReader(call.Arguments))
			if err == nil {
				io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
			}
		}
	})
	panic(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
"""

NODE = """
const http = require('http');
const post = (url, body) => new Promise((resolve, reject) => {
	const headers = { 'Content-Type': 'application/json', 'Content-Length': body.length };
	http.request(url, { method: 'POST', headers }, (answer) => {
		answer.resume();
		answer.on('end', resolve);
	}).on('error', reject).end(body);
});
http.createServer((request, response) => {
	let text = '';
	request.on('data', (data) => { text += data; });
	request.on('end', async () => {
		for (const call of JSON.parse(text))
			await post(call.url, JSON.stringify(call.arguments));
		response.end();
	});
}).listen(Number(process.argv[2]), '127.0.0.1');
"""


# ---- the suite --------------------------------------------------------------------------


def suite():
    """The folder with test.py."""
    if named := os.environ.get("TRACE_CONTEXT_SUITE"):
        found = [path for path in (Path(named), Path(named) / "test") if (path / "test.py").exists()]
        assert found, f"no test.py in TRACE_CONTEXT_SUITE={named}"
        return found[0]
    place = SUITE / COMMIT
    if not place.exists():
        fetch(place)
    return place


def fetch(place):
    try:
        with urllib.request.urlopen(ARCHIVE, timeout=20) as answer:
            archive = answer.read()
    except (OSError, http.client.HTTPException) as fault:
        raise Skip(f"the suite cannot be fetched ({fault}): {ARCHIVE}; "
                   "TRACE_CONTEXT_SUITE=FOLDER names a copy") from None
    parts = SUITE / f"{COMMIT}.part"
    shutil.rmtree(parts, ignore_errors=True)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            inside = PurePosixPath(member.name).parts[1:]
            if member.isfile() and inside[:1] == ("test",) and ".." not in inside:
                target = parts.joinpath(*inside[1:])
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(tar.extractfile(member).read())
    parts.rename(place)


def interpreter():
    """A Python that is a file of its own, with what the suite needs."""
    venv = SUITE / "venv"
    python = venv / "bin" / "python3"
    if python.exists() and status_of(python, "-c", "import aiohttp")[0] == 0:
        return python
    run(sys.executable, "-m", "venv", "--clear", "--copies", venv, timeout=60)
    status, _, said = status_of(python, "-m", "pip", "-q", "--disable-pip-version-check",
                                "install", "aiohttp", timeout=120)
    if status != 0:
        raise Skip(f"pip cannot install aiohttp, which the suite needs: {said.strip()[-300:]}")
    return python


def failures(port):
    """Names of the cases that the program at @port fails."""
    tests = suite()
    environ = dict(os.environ, SPEC_LEVEL="2", STRICT_LEVEL="2", HARNESS_PORT=str(free_port()),
                   PYTHONDONTWRITEBYTECODE="1")
    done = subprocess.run([interpreter(), "test.py", f"http://127.0.0.1:{port}/test",
                           "TraceContextTest", "AdvancedTest", "TraceContext2Test"],
                          cwd=tests, env=environ, check=False, timeout=120, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True)
    (folder() / "suite.log").write_text(done.stdout + done.stderr)
    ran = re.search(r"^Ran (\d+) tests", done.stderr, re.MULTILINE)
    assert ran and int(ran[1]) == CASES, f"the suite did not run: {done.stderr[-2000:]}"
    assert "skipped=" not in done.stderr, "the suite left cases out"
    found = re.findall(r"^(?:FAIL|ERROR): (\w+)", done.stderr, re.MULTILINE)
    assert bool(found) == (done.returncode != 0), done.stderr[-2000:]
    return sorted(set(found))


def check(start, allowed=(), before=lambda port: None):
    """No case may fail but those @allowed.  @before: what is done first, when the agent runs."""
    suite(), interpreter()  # a Skip comes before anything is started
    port = free_port()
    start(str(port))
    wait_until(lambda: listening(port), "the program to listen")
    agent = Agent(*INJECT, "--exclude-exe", f"{SUITE}/venv/*")
    before(int(port))
    failed = failures(port)
    agent.stop()
    wrong = [name for name in failed if name not in allowed]
    assert not wrong, f"{CASES - len(failed)} of {CASES}; failed: {' '.join(wrong)}"


# ---- the programs -----------------------------------------------------------------------


def test_without_injection():
    """The programs do nothing by themselves: not one case passes."""
    port = free_port()
    suite(), interpreter()
    servers.python_program(PYTHON, str(port))
    wait_until(lambda: listening(port), "the program to listen")
    assert len(failures(port)) == CASES


def test_threaded_python():
    check(lambda port: servers.python_program(PYTHON, port))


def one_and_silence(port):
    with load.Http(port) as http:
        equal(http.get("/", method="POST", body=b"[]")[0], 200, "status")
    time.sleep(SILENCE)


def test_node():
    """An event loop that has been silent: what it calls is for its request."""
    check(lambda port: servers.node_program(NODE, port), before=one_and_silence)


def test_node_never_guesses():
    """Of one that has not, the cases in which the trace goes on fail: each call begins one of its
    own."""
    check(lambda port: servers.node_program(NODE, port), CONTINUING)


def test_go():
    if not shutil.which("go"):
        raise Skip("no Go compiler")
    source = folder() / "go" / "main.go"
    source.parent.mkdir()
    source.write_text(GO)
    run("go", "build", "-o", source.parent / "program", source, timeout=250)
    check(lambda port: spawn([source.parent / "program", port], log="go.log"))
