# SPDX-License-Identifier: Apache-2.0
"""Parents inside of CPython's event loops: right ones or none, whatever the program does."""

import os
import re
import sys
import time
from pathlib import Path

import load
import servers
from agent import Agent
from harness import equal, folder, free_port, python_with, spawn, takes
from spans import CLIENT, at_port
from test_stitching import ask, judge, number_of, started, threaded

# Talks to Redis and to an HTTP server; what comes behind serves requests.
CALLS = """
import asyncio, contextvars, functools, random, socket, sys
port, back, redis = map(int, sys.argv[1:4])
mode = sys.argv[4]
ANSWER = b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok"
def nap():
    return asyncio.sleep(random.random() / 300)
async def ask(port, data):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    answer = await reader.read(1000)
    writer.close()
    return answer
def get(key):
    return ask(redis, f"*2\\r\\n$3\\r\\nGET\\r\\n${len(key)}\\r\\n{key}\\r\\n".encode())
def call(path):
    return ask(back, f"GET {path} HTTP/1.1\\r\\nHost: 127.0.0.1:{back}\\r\\n\\r\\n".encode())
def blocking_get(key):
    with socket.create_connection(("127.0.0.1", redis)) as s:
        s.sendall(f"*2\\r\\n$3\\r\\nGET\\r\\n${len(key)}\\r\\n{key}\\r\\n".encode())
        s.recv(100)
async def in_thread(key): # asyncio.to_thread() of 3.9
    context = contextvars.copy_context()
    await asyncio.get_running_loop().run_in_executor(
        None, functools.partial(context.run, blocking_get, key))
async def late(number):
    await nap()
    await call(f"/late/{number}")
tasks = set() # the loop itself holds them by weak references
def keep(coroutine):
    task = asyncio.ensure_future(coroutine)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task
"""

# A task for each connection, which goes through its requests one by one.
STREAMS = CALLS + """
async def after(number, pending):
    if mode == "sleeps":
        await nap()
    elif mode == "waits":
        await pending
    elif mode == "queues":
        async with few:
            await asyncio.sleep(0.002)
    await call(f"/late/{number}")
async def serve(reader, writer):
    while True:
        head = await reader.readline()
        if not head:
            break
        while (await reader.readline()).strip():
            pass
        number = head.split()[1].rsplit(b"/", 1)[1].decode()
        await nap()
        await asyncio.gather(get("key:" + number), call("/back/" + number))
        await in_thread("again:" + number)
        if mode == "tasks":
            keep(late(number))
        pending = keep(nap())
        writer.write(ANSWER)
        if mode in ("sleeps", "waits", "queues"):
            await after(number, pending)
async def main():
    global few
    few = asyncio.Semaphore(2)
    server = await asyncio.start_server(lambda *a: keep(serve(*a)) and None, "127.0.0.1", port)
    await server.serve_forever()
asyncio.run(main())
"""

# A task for each request, and contexts that are made in every way there is.
PROTOCOL = CALLS + """
spare = contextvars.Context()
def contexts():
    own = contextvars.copy_context()
    yield own
    yield own.copy()
    yield spare.copy()
    yield contextvars.Context()
    yield spare.run(contextvars.copy_context)
class Server(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        for head in data.split(b"\\r\\n\\r\\n")[:-1]:
            keep(self.serve(head))
    async def serve(self, head):
        number = head.split()[1].rsplit(b"/", 1)[1].decode()
        await nap()
        await get("key:" + number)
        if mode == "copies":
            for context in contexts():
                keep(late(number))
                for _ in range(20):
                    context.copy()
                await context.run(keep, call(f"/any/{number}"))
        await asyncio.gather(call("/back/" + number), in_thread("again:" + number))
        self.transport.write(ANSWER)
async def main():
    loop = asyncio.get_running_loop()
    await (await loop.create_server(Server, "127.0.0.1", port)).serve_forever()
asyncio.run(main())
"""

UVICORN = """
import asyncio, random, sys
import fastapi, httpx, redis, redis.asyncio, uvicorn
from starlette.concurrency import run_in_threadpool
port, back, store = map(int, sys.argv[1:4])
app = fastapi.FastAPI()
client = httpx.AsyncClient(limits=httpx.Limits(max_connections=8), timeout=60)
keys = redis.asyncio.Redis(port=store)
slow_keys = redis.Redis(port=store)
async def late(number):
    await asyncio.sleep(random.random() / 300)
    await client.get(f"http://127.0.0.1:{back}/late/{number}")
@app.get("/front/{number}")
async def front(number: str, background: fastapi.BackgroundTasks):
    await asyncio.sleep(random.random() / 300)
    await asyncio.gather(keys.get("key:" + number),
                         client.get(f"http://127.0.0.1:{back}/back/{number}"))
    await run_in_threadpool(slow_keys.get, "again:" + number)
    background.add_task(late, number)
    return "ok"
uvicorn.run(app, port=port, loop=sys.argv[4], http=sys.argv[5], access_log=False,
            log_level="error", timeout_keep_alive=75)
"""


def is_promised(span):
    """Not what outlives its request, nor what runs in a context that is nobody's child."""
    return not re.search("/late/|/any/", str(span.attributes.get("url.full", "")))


def check(program, *options, connections=(1, 8, 64)):
    """Calls have the right parent or none; those made while the request is open have one."""
    redis, back = servers.Redis(), threaded()
    port = started(lambda *a: program(*a, *options), free_port(), back, redis.port)
    shares = []
    for count in connections:
        agent = Agent()
        ask(port, count, 320)
        spans = agent.stop()
        calls = [span for span in at_port(spans, back, CLIENT) +
                 at_port(spans, redis.port, CLIENT) if number_of(span)]
        promised = judge(spans, [span for span in calls if is_promised(span)])
        others = judge(spans, [span for span in calls if not is_promised(span)])
        print(f"{count} connections: {promised}, others {others}")
        equal(promised["wrong"] + others["wrong"], 0, f"wrong parents at {count}")
        equal({span["spanloom.link"] for span in calls if span.parent_id} - {"pycontext"}, set(),
              "links of calls")
        shares.append(promised["right"] / sum(promised.values()))
    return shares


def check_all_right(*program, **options):
    shares = check(*program, **options)
    assert min(shares) >= 0.999, f"shares of right parents: {shares}"


def python(source, interpreter=sys.executable):
    script = folder() / "program.py"
    script.write_text(source)
    return lambda *a: spawn([interpreter, script, *a], log="python.log")


def test_streams():
    check_all_right(python(STREAMS), "")


def test_streams_and_tasks_that_outlive_the_response():
    check_all_right(python(STREAMS), "tasks", connections=(8, 64))


@takes(300)
def test_streams_that_go_on_after_their_response():
    """Whose the task's calls are is known when it has waited for the next request only."""
    for mode in ("sleeps", "waits", "queues"):
        check(python(STREAMS), mode, connections=(8, 64))


def test_protocol():
    check_all_right(python(PROTOCOL), "", connections=(1, 64))


def pipeline(port, pairs):
    """Each second request comes while the first one is being served, as does its task."""
    with load.Http(("127.0.0.1", port)) as http:
        for number in range(0, 2 * pairs, 2):
            for path in (f"/front/{number}", f"/front/{number + 1}"):
                http.send(load.http_request(port, path))
                time.sleep(0.0005)
            http.response("GET")
            http.response("GET")


def test_pipelined_requests_never_guess():
    redis, back = servers.Redis(), threaded()
    port = started(lambda *a: python(PROTOCOL)(*a, ""), free_port(), back, redis.port)
    agent = Agent()
    pipeline(port, 100)
    spans = agent.stop()
    calls = [span for span in at_port(spans, back, CLIENT) + at_port(spans, redis.port, CLIENT)
             if number_of(span)]
    counts = judge(spans, calls)
    print(counts)
    equal([counts["wrong"], sum(counts.values())], [0, 600], "wrong parents, calls")


def test_contexts_made_in_every_way():
    check_all_right(python(PROTOCOL), "copies", connections=(8,))


def interpreters():
    """Of the versions that are known, those that are here; some names are shims of pyenv."""
    folders = [Path(name) for name in os.environ["PATH"].split(":") if "shims" not in name] + \
        list(Path.home().glob(".pyenv/versions/*/bin"))
    found = {(folder / f"python3.{minor}").resolve()
             for minor in range(8, 14) for folder in folders}
    return sorted(path for path in found if path.exists())


@takes(300)
def test_versions():
    for interpreter in interpreters():
        print(interpreter)
        check_all_right(python(STREAMS, interpreter), "", connections=(8,))


def python_with_packages():
    packages = ["fastapi", "uvicorn", "uvloop", "httptools", "httpx", "redis"]
    return python_with(", ".join(packages), *packages)


def uvicorn(*arguments):
    script = folder() / "uvicorn_program.py"
    script.write_text(UVICORN)
    return spawn([python_with_packages(), script, *arguments], log="uvicorn.log")


def test_uvicorn_on_asyncio():
    check_all_right(uvicorn, "asyncio", "h11", connections=(8, 64))


def test_uvicorn_on_uvloop():
    check_all_right(uvicorn, "uvloop", "httptools", connections=(8, 64))
