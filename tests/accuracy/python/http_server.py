# SPDX-License-Identifier: Apache-2.0
"""A server of the standard library: a thread for each connection."""

import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = self.server.answer(self.path).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if self.path.endswith("/close"):
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True
    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET

    def __init__(self, port, answer):
        self.answer = answer
        super().__init__(("", port), Handler)


def serve(port, answer):
    """@answer: path -> text of the response."""
    Server(port, answer).serve_forever()
