# SPDX-License-Identifier: Apache-2.0
"""FastAPI with plain functions: its loop reads the request, a thread of its pool does the work
with SQLAlchemy, redis and requests."""

import os
import random
import time

import redis
import requests
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from requests.adapters import HTTPAdapter
from sqlalchemy import create_engine, text

POOL = 4
LEAF = f"http://localhost:{os.environ['LEAF_PORT']}/leaf"

engine = create_engine(f"postgresql+psycopg://postgres@localhost:{os.environ['POSTGRES_PORT']}/shop",
                       pool_size=POOL, max_overflow=0, pool_timeout=60)
cache = redis.Redis(connection_pool=redis.BlockingConnectionPool(
    host="localhost", port=int(os.environ["REDIS_PORT"]), max_connections=POOL, timeout=60))
web = requests.Session()
web.mount("http://", HTTPAdapter(pool_maxsize=POOL, pool_block=True))
app = FastAPI()


def select(name):
    with engine.connect() as connection:
        connection.execute(text(f"SELECT pg_sleep({random.random() / 500}) AS {name}")).all()


def leaf(name, which):
    web.get(f"{LEAF}/{name}/{which}", timeout=60).raise_for_status()


@app.get("/shop/{name}", response_class=PlainTextResponse)
def work(name: str):
    time.sleep(random.random() / 500)
    select(name)
    cache.get(f"{name}:first")
    leaf(name, "close")
    leaf(name, "left")
    leaf(name, "right")
    cache.get(f"{name}:middle")
    select(name)
    cache.set(f"{name}:last", "value")
    return "done"
