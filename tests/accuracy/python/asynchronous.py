# SPDX-License-Identifier: Apache-2.0
"""FastAPI, asyncpg, redis.asyncio, httpx: tasks of one thread, some of them at once."""

import asyncio
import os
import random
from contextlib import asynccontextmanager

import asyncpg
import httpx
import redis.asyncio as redis
from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import PlainTextResponse

POOL = 4
LEAF = f"http://localhost:{os.environ['LEAF_PORT']}/leaf"


class Clients:
    """Made when the program starts, in the loop that uses them."""

    database = cache = web = None

    async def open(self):
        self.database = await asyncpg.create_pool(
            host="localhost", port=int(os.environ["POSTGRES_PORT"]), user="postgres",
            database="shop", min_size=1, max_size=POOL)
        self.cache = redis.Redis(connection_pool=redis.BlockingConnectionPool(
            host="localhost", port=int(os.environ["REDIS_PORT"]), max_connections=POOL,
            timeout=60))
        self.web = httpx.AsyncClient(limits=httpx.Limits(max_connections=POOL), timeout=60)


clients = Clients()


@asynccontextmanager
async def lifespan(_app):
    await clients.open()
    yield


app = FastAPI(lifespan=lifespan)
kept = set()  # tasks: the loop only borrows them


async def select(name):
    await clients.database.fetchval(f"SELECT pg_sleep({random.random() / 500})::text AS {name}")


async def leaf(name, which):
    (await clients.web.get(f"{LEAF}/{name}/{which}")).raise_for_status()


@app.get("/shop/{name}", response_class=PlainTextResponse)
async def work(name: str):
    await asyncio.sleep(random.random() / 500)
    await select(name)
    await clients.cache.get(f"{name}:first")
    await leaf(name, "close")
    await asyncio.gather(leaf(name, "left"), leaf(name, "right"), select(name),
                         clients.cache.get(f"{name}:middle"))
    await asyncio.sleep(random.random() / 500)
    await clients.cache.set(f"{name}:last", "value")
    return "done"


async def late(name):
    """Goes on when the response is out, and the next request may have come."""
    await asyncio.sleep(random.random() / 100)
    await clients.cache.get(f"{name}:late")


@app.get("/late/{name}", response_class=PlainTextResponse)
async def work_on(name: str, background: BackgroundTasks):
    background.add_task(late, name)
    task = asyncio.create_task(late(name))
    kept.add(task)
    task.add_done_callback(kept.discard)
    return await work(name)
