# SPDX-License-Identifier: Apache-2.0
"""Event loops that serve one request at a time: its calls are the request's where nothing else in
the program has been seen to call."""

import time
from collections import Counter

import load
import servers
from agent import Agent
from harness import equal, free_port
from spans import CLIENT, SERVER, at_port
from test_stitching import ask, judge, started, threaded

SILENCE = 1.2  # seconds; LOOP_SILENCE_NS and a bit

# For a request: a timer, a command of Redis, a timer, and two calls at once.  What else the program
# does is told by its last argument.
LOOP = """
const http = require('http'), net = require('net');
const { setTimeout: sleep } = require('timers/promises');
const [port, back, redis] = process.argv.slice(2, 5).map(Number);
const how = process.argv[5];
const agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
const answers = [];
let cache;
const get = (key) => new Promise((resolve) => {
	cache ??= net.connect(redis, '127.0.0.1').on('data', (nothing) => { // each $-1
		answers.splice(0, nothing.length / 5).forEach((answered) => answered());
	});
	answers.push(resolve);
	cache.write(`*2\\r\\n$3\\r\\nGET\\r\\n$${key.length}\\r\\n${key}\\r\\n`);
});
const call = (path) => new Promise((resolve, reject) => {
	http.get({ host: '127.0.0.1', port: back, path, agent }, (answer) => {
		answer.resume();
		answer.on('end', resolve);
	}).on('error', reject);
});
if (how == 'interval')
	setInterval(() => get('job:0'), 300);
http.createServer(async (request, response) => {
	const number = request.url.split('/').pop();
	await sleep(Math.random() * 3);
	await get('key:' + number);
	await sleep(Math.random() * 3);
	await Promise.all([call('/back/' + number), call('/back/' + number)]);
	if (how == 'late')
		sleep(5).then(() => call('/late/' + number));
	const open = how == 'unanswered' && call('/slow/' + number);
	response.end('ok');
	await open;
}).listen(port, '127.0.0.1').keepAliveTimeout = 0;
"""


def loop(back, redis, how="nothing"):
    return started(lambda *a: servers.node_program(LOOP, *a, how), free_port(), back, redis)


def ask_and_be_silent(port, seconds=SILENCE):
    """One request, and then none."""
    with load.Http(port) as http:
        equal(http.get("/front/1000000")[0], 200, "status")
    time.sleep(seconds)


def links(spans):
    return {span["spanloom.link"] for span in spans}


def causes(spans):
    """Why they have no parent, as often as that is so; the ledger counts the same (agent.py)."""
    return Counter(span["spanloom.root"] for span in spans if span["spanloom.link"] == "none")


def test_silent_loop():
    """After a second of silence each call has its parent, timers or not.  At several requests at
    once none is guessed."""
    back, redis = threaded(), servers.Redis().port
    port = loop(back, redis)
    agent = Agent("--port", f"{port},{back},{redis}")
    ask_and_be_silent(port)
    ask(port, 1, 50)
    spans = agent.stop()
    first, calls = [], []
    for span in at_port(spans, back, CLIENT) + at_port(spans, redis, CLIENT):
        (first if "1000000" in str(span.attributes) else calls).append(span)
    equal((len(first), links(first)), (3, {"none"}), "calls of the first request, and their links")
    equal(causes(first), {"not_silent": 3}, "why")
    equal(links(calls), {"turn"}, "links of the others")
    equal(judge(spans, calls), {"right": 150, "wrong": 0, "none": 0}, "parents of calls")


def test_silent_loop_with_many_requests():
    back, redis = threaded(), servers.Redis().port
    port = loop(back, redis)
    agent = Agent("--port", f"{port},{back},{redis}")
    ask_and_be_silent(port)
    for connections in (8, 2, 64, 1):
        ask(port, connections, 80)
    spans = agent.stop()
    calls = at_port(spans, back, CLIENT) + at_port(spans, redis, CLIENT)
    counts = judge(spans, calls)
    equal(counts["wrong"], 0, "wrong parents")
    assert counts["right"] >= 240, counts
    why = causes(calls)
    equal(sum(why.values()), counts["none"], "calls without a parent, by cause")
    assert why["several_requests"] > 0.9 * (counts["none"] - 3), why


def test_eight_requests_at_once():
    """An operator is told that it is these, by each call, by the ledger and by the log."""
    back, redis = threaded(), servers.Redis().port
    port = loop(back, redis)
    agent = Agent("--port", f"{port},{back},{redis}", "--log-level", "debug")
    ask(port, 8, 400)
    spans = agent.stop()
    calls = at_port(spans, back, CLIENT) + at_port(spans, redis, CLIENT)
    equal((len(calls), links(calls)), (1200, {"none"}), "calls, and their links")
    why = causes(calls)
    equal(set(why) - {"several_requests", "not_silent"}, set(), "causes")
    assert why["several_requests"] > 1000, why
    equal(agent.ledger["flow.spans.root.several_requests"], why["several_requests"], "in the ledger")
    lines = [line for line in agent.stderr.read_text().splitlines() if
             "several requests were served at once (spanloom.root=several_requests)" in line]
    equal(len(lines), 1, "lines of the log")
    assert "node" in lines[0], lines


def check_never_wrong(how, silences=3):
    """What a program of this kind calls for nobody never becomes a request's, though its requests
    come one upon the other; and by then none of its calls has a parent.  Why, by call."""
    back, redis = threaded(), servers.Redis().port
    port = loop(back, redis, how)
    agent = Agent("--port", f"{port},{back},{redis}")
    for _ in range(silences):
        ask_and_be_silent(port)
        ask(port, 1, 40)
    spans = agent.stop()
    calls = at_port(spans, back, CLIENT) + at_port(spans, redis, CLIENT)
    wrong = [span for span in calls if judge(spans, [span])["wrong"]]
    equal(wrong, [], "calls with wrong parents")
    equal(links(calls), {"none"}, "links")
    equal(len(at_port(spans, port, SERVER)), 41 * silences, "requests")
    return [(call, call["spanloom.root"]) for call in calls]


def test_loop_with_jobs_behind_its_responses():
    why = check_never_wrong("late")
    equal({cause for call, cause in why if "/late/" not in str(call)}, {"not_silent"},
          "why the calls before the response have no parent")
    late = Counter(cause for call, cause in why if "/late/" in str(call))
    equal(set(late) - {"behind_response", "not_silent"}, set(), "why those behind it have none")
    assert late["behind_response"] >= 3, late  # of the last request before each silence, at least


def test_loop_with_a_timer_that_calls():
    why = check_never_wrong("interval")
    assert Counter(cause for call, cause in why if "job:" in str(call))["behind_response"] > 3, why


def test_loop_that_responds_before_its_call_is_answered():
    check_never_wrong("unanswered")


def test_loop_that_was_not_silent_yet():
    """Without the second, nothing is known of it."""
    back, redis = threaded(), servers.Redis().port
    port = loop(back, redis)
    agent = Agent("--port", f"{port},{back},{redis}")
    ask(port, 1, 30)
    spans = agent.stop()
    calls = at_port(spans, back, CLIENT) + at_port(spans, redis, CLIENT)
    equal((len(calls), causes(calls)), (90, {"not_silent": 90}), "calls, and why they have none")
