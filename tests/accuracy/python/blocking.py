# SPDX-License-Identifier: Apache-2.0
"""The work of one request, done by the thread that has it, with pools that threads share."""

import os
import queue
import random
import time
from contextlib import contextmanager

import psycopg2
import redis
import requests
from requests.adapters import HTTPAdapter

POOL = 4

cache = redis.Redis(connection_pool=redis.BlockingConnectionPool(
    host="localhost", port=int(os.environ["REDIS_PORT"]), max_connections=POOL, timeout=60))
web = requests.Session()
web.mount("http://", HTTPAdapter(pool_maxsize=POOL, pool_block=True))
LEAF = f"http://localhost:{os.environ['LEAF_PORT']}/leaf"


def nap():
    time.sleep(random.random() / 500)


class Database:
    """Connections that are made when they are first wanted."""

    def __init__(self):
        self.idle = queue.LifoQueue()
        for _ in range(POOL):
            self.idle.put(None)

    @contextmanager
    def cursor(self):
        connection = self.idle.get()
        try:
            connection = connection or self.connect()
            with connection.cursor() as cursor:
                yield cursor
        finally:
            self.idle.put(connection)

    @staticmethod
    def connect():
        connection = psycopg2.connect(host="localhost", port=os.environ["POSTGRES_PORT"],
                                      user="postgres", dbname="shop")
        connection.autocommit = True
        return connection


database = Database()


def select(name):
    with database.cursor() as cursor:
        cursor.execute(f"SELECT pg_sleep({random.random() / 500}) AS {name}")
        cursor.fetchall()


def leaf(name, which):
    web.get(f"{LEAF}/{name}/{which}", timeout=60).raise_for_status()


def work(name):
    nap()
    select(name)
    cache.get(f"{name}:first")
    leaf(name, "close")
    leaf(name, "left")
    nap()
    leaf(name, "right")
    cache.get(f"{name}:middle")
    select(name)
    cache.set(f"{name}:last", "value")
    return "done"
