# SPDX-License-Identifier: Apache-2.0
"""WSGI for gunicorn and uWSGI: psycopg2, redis, requests."""

from blocking import work


def application(environ, start_response):
    body = work(environ["PATH_INFO"].rsplit("/", 1)[1]).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
