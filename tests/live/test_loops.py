# SPDX-License-Identifier: Apache-2.0
"""Event loops that serve one request at a time: its calls are the request's where nothing else in
the program has been seen to call."""

import time

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
}).listen(port, '127.0.0.1');
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


def check_never_wrong(how, silences=3):
    """What a program of this kind calls for nobody never becomes a request's, though its requests
    come one upon the other; and by then none of its calls has a parent."""
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


def test_loop_with_jobs_behind_its_responses():
    check_never_wrong("late")


def test_loop_with_a_timer_that_calls():
    check_never_wrong("interval")


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
    equal((len(calls), links(calls)), (90, {"none"}), "calls, and their links")
