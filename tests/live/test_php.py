# SPDX-License-Identifier: Apache-2.0
"""PHP's own server ("php -S") does one request after another, though it waits in poll(); other
programs of PHP that do so are loops, whose calls are anybody's."""

import os

import load
import servers
from agent import Agent
from harness import equal, folder, free_port, in_threads, listening, spawn, wait_until
from spans import CLIENT, SERVER, at_port
from test_stitching import judge

GET = r"""<?php
function get($key) {
	$redis = stream_socket_client('tcp://127.0.0.1:' . getenv('REDIS_PORT'));
	fwrite($redis, "*2\r\n\$3\r\nGET\r\n\$" . strlen($key) . "\r\n$key\r\n");
	fread($redis, 100);
}
"""

SCRIPT = GET + r"""
$number = basename($_SERVER['REQUEST_URI']);
get("key:$number");
usleep(random_int(0, 2000));
get("again:$number");
echo 'ok';
"""

LOOP = GET + r"""
$server = stream_socket_server("tcp://127.0.0.1:$argv[1]");
$open = [];
while (true) {
	$read = [$server, ...$open];
	$write = $except = null;
	stream_select($read, $write, $except, null);
	foreach ($read as $one) {
		if ($one === $server) {
			$client = stream_socket_accept($server);
			stream_set_blocking($client, false);
			$open[(int)$client] = $client;
			continue;
		}
		$text = fread($one, 8192);
		if (!$text) {
			unset($open[(int)$one]);
			continue;
		}
		get('any:0'); # a timer's, say
		fwrite($one, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	}
}
"""


def started(text, redis, *command):
    """The port of a program of PHP that gets @command behind its name: {} is the script."""
    script, port = folder() / "program.php", free_port()
    script.write_text(text)
    environ = dict(os.environ, REDIS_PORT=str(redis.port), PHP_CLI_SERVER_WORKERS="4")
    spawn(["php", *(word.format(script=script, port=port) for word in command)], log="php.log",
          env=environ)
    wait_until(lambda: listening(port), "PHP to listen")
    return port


def ask(port, connections, requests):
    def work(index):
        for number in range(index, requests, connections):
            with load.Http(port) as http:
                equal(http.get(f"/front/{number}")[1], b"ok", "body")
    in_threads(work, connections)


def test_own_server():
    redis = servers.Redis()
    port = started(SCRIPT, redis, "-S", "127.0.0.1:{port}", "{script}")
    agent = Agent()
    ask(port, 8, 120)
    spans = agent.stop()
    calls, served = at_port(spans, redis.port, CLIENT), at_port(spans, port, SERVER)
    equal([len(served), len(calls)], [120, 240], "spans")
    equal(judge(spans, served + calls), {"right": 360, "wrong": 0, "none": 0}, "parents")
    equal({span["spanloom.link"] for span in calls}, {"thread"}, "links of calls")


def test_a_loop_never_guesses():
    redis = servers.Redis()
    port = started(LOOP, redis, "{script}", "{port}")
    agent = Agent()
    ask(port, 1, 30)
    spans = agent.stop()
    calls = at_port(spans, redis.port, CLIENT)
    equal(judge(spans, calls), {"right": 0, "wrong": 0, "none": 30}, "calls")
