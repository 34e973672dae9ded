# SPDX-License-Identifier: Apache-2.0
"""http.server, psycopg2, redis, requests: a thread for each connection."""

import os

from blocking import work
from http_server import serve

serve(int(os.environ["PORT"]), lambda path: work(path.rsplit("/", 1)[1]))
