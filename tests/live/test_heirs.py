# SPDX-License-Identifier: Apache-2.0
"""Processes that a request starts: what they call is the request's, but never what a worker
calls that happens to have been started by it."""

import servers
from agent import Agent
from harness import equal, folder, free_port, listening, wait_until
from spans import CLIENT, SERVER, at_port
from test_stitching import ask, judge, threaded

PROGRAM = servers.SERVING + """
import multiprocessing, os, pty, subprocess, threading, tty, urllib.request
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
port, back, way = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
HELPER = '''
import sys, urllib.request
for url in sys.stdin:
    print(len(urllib.request.urlopen(url.strip()).read()), flush=True)
'''
def pipes():
    child = subprocess.Popen([sys.executable, "-c", HELPER], stdin=-1, stdout=-1)
    return child.stdin, child.stdout
def terminal():
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    subprocess.Popen([sys.executable, "-c", HELPER], stdin=theirs, stdout=theirs)
    return os.fdopen(ours, "wb", 0), os.fdopen(ours, "rb", 0)
lock, shared = threading.Lock(), {}
def once(make):
    with lock:
        if "it" not in shared:
            shared["it"] = make()
        return shared["it"]
def get(url):
    return len(urllib.request.urlopen(url).read())
def pool(url, how):
    make = lambda: ProcessPoolExecutor(4, multiprocessing.get_context(how))
    once(make).submit(get, url).result()
def helper(url, start):
    to, back = once(start)
    with lock:
        to.write(url.encode() + b"\\n")
        to.flush()
        back.readline()
def children(url):
    number = int(url.rsplit("/", 1)[1])
    if number % 3 == 0:
        subprocess.run(["curl", "-s", url], capture_output=True, check=True)
    elif number % 3 == 1:
        subprocess.check_output(f"curl -s {url} | cat", shell=True)
    else:
        os.system(f"curl -s -o /dev/null {url}")
def daemon(url):
    wait = f"while [ ! -e {sys.argv[4]} ]; do sleep 0.1; done"
    subprocess.Popen(["sh", "-c", f"{wait}; curl -s {url}"], stdout=-3, start_new_session=True)
def threads(url):
    with ThreadPoolExecutor(2) as own:
        own.submit(get, url).result()
ways = dict(children=children, daemon=daemon, threads=threads,
            pipes=lambda url: helper(url, pipes), terminal=lambda url: helper(url, terminal),
            fork=lambda url: pool(url, "fork"), spawn=lambda url: pool(url, "spawn"))
class Handler(Answers):
    def do_GET(self):
        ways[way](f"http://127.0.0.1:{back}/back/" + self.path.rsplit("/", 1)[1])
        self.answer(b"ok")
if __name__ == "__main__":
    serve(Handler, port)
"""


def calls_of(way, connections, requests, *options):
    """(the counts of right, wrong and no parents of the calls, the names of the links)."""
    back, front, answered = threaded(), free_port(), folder() / "answered"
    servers.python_program(PROGRAM, str(front), str(back), way, answered, log=f"{way}.log")
    wait_until(lambda: listening(front), "the program to listen")
    agent = Agent(*options)
    ask(front, connections, requests)
    answered.touch()
    if way == "daemon":  # the others are done when they are answered
        wait_until(lambda: len(at_port(agent.sink.spans(), back, CLIENT)) >= requests, "all calls")
    spans = agent.stop()
    calls = at_port(spans, back, CLIENT)
    served = at_port(spans, front, SERVER) + at_port(spans, back, SERVER)
    equal({span["spanloom.link"] for span in served}, {"peer"}, "links of servers")
    equal(judge(spans, served), {"right": 2 * requests, "wrong": 0, "none": 0},
          "parents of servers")
    return (judge(spans, calls), {span["spanloom.link"] for span in calls},
            {span["spanloom.root"] for span in calls} - {None})


def check_children(connections, requests):
    counts, links, _ = calls_of("children", connections, requests)
    equal(counts, {"right": requests, "wrong": 0, "none": 0}, "parents of the children's calls")
    equal(links, {"process"}, "links")


def test_children_1_connection():
    check_children(1, 30)


def test_children_8_connections():
    check_children(8, 120)


def test_children_64_connections():
    check_children(64, 256)


def check_no_heir(way, connections, requests, cause="child_process"):
    equal(calls_of(way, connections, requests),
          ({"right": 0, "wrong": 0, "none": requests}, {"none"}, {cause}),
          f"parents of {way}'s calls")


def test_daemon_that_outlives_its_request_is_no_heir():
    check_no_heir("daemon", 4, 12, "behind_response")


def test_forked_worker_of_a_pool_is_no_heir():
    check_no_heir("fork", 8, 80)


def test_spawned_worker_of_a_pool_is_no_heir():
    check_no_heir("spawn", 8, 80)


def test_helper_behind_pipes_is_no_heir():
    check_no_heir("pipes", 8, 80)


def test_helper_at_a_terminal_is_no_heir():
    check_no_heir("terminal", 8, 80)


def test_threads_are_no_heirs():
    check_no_heir("threads", 8, 80, "apart")


def test_threads_of_a_request_are_likely():
    counts, links, _ = calls_of("threads", 8, 80, "--links", "likely")
    equal((counts, links), ({"right": 80, "wrong": 0, "none": 0}, {"likely"}), "parents")
