#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A collector that behaves, or does not; it reads with the official package.

    otlp_sink.py [--port N] --out FILE [--mode MODE] [--cert FILE --key FILE]

Needs the package opentelemetry-proto (.output/venv has it).  The first line on stdout is the
port; each span that arrives becomes a JSON line in FILE, whatever is answered.  MODE:

    ok        200
    503       503 for every request, with Retry-After: 1
    slow      takes the request and never answers
    reset     closes the connection with a reset
    garbage   answers what is not HTTP
    partial   200, and one span of each request rejected
    huge      200 with a body of 1 GB
"""

import argparse
import gzip
import json
import socket
import ssl
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest, ExportTraceServiceResponse)

MODES = ("ok", "503", "slow", "reset", "garbage", "partial", "huge")


def plain(value):
    """An AnyValue as Python has it."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None


def attributes(pairs):
    return {pair.key: plain(pair.value) for pair in pairs}


def spans(body):
    """The spans of a request, each with all that applies to it."""
    for group in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope in group.scope_spans:
            for span in scope.spans:
                yield {
                    "resource": attributes(group.resource.attributes),
                    "resource_schema": group.schema_url,
                    "scope": scope.scope.name,
                    "scope_version": scope.scope.version,
                    "schema": scope.schema_url,
                    "trace_id": span.trace_id.hex(),
                    "span_id": span.span_id.hex(),
                    "parent_id": span.parent_span_id.hex(),
                    "trace_state": span.trace_state,
                    "flags": span.flags,
                    "name": span.name,
                    "kind": span.kind,
                    "start_ns": span.start_time_unix_nano,
                    "end_ns": span.end_time_unix_nano,
                    "attributes": attributes(span.attributes),
                    "dropped_attributes": span.dropped_attributes_count,
                    "status": span.status.code,
                    "status_message": span.status.message,
                }


class Sink(ThreadingHTTPServer):
    """Listens on 127.0.0.1; the mode may be changed at any time."""

    daemon_threads = True

    def __init__(self, out, port=0, mode="ok"):
        self.out, self.mode, self.lock = out, mode, threading.Lock()
        super().__init__(("127.0.0.1", port), SinkHandler)

    def keep(self, body):
        found = list(spans(body))
        with self.lock:
            for span in found:
                self.out.write(json.dumps(span) + "\n")
            self.out.flush()


class SinkHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.keep(body)
        getattr(self, f"answer_{self.server.mode}")()

    def answer(self, status, body=b"", length=None, **headers):
        self.send_response(status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def answer_ok(self):
        self.answer(200)

    def answer_503(self):
        self.answer(503, Retry_After="1")

    def answer_slow(self):
        time.sleep(3600)

    def answer_reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def answer_garbage(self):
        self.wfile.write(bytes(range(256)) * 4)
        self.close_connection = True

    def answer_partial(self):
        answer = ExportTraceServiceResponse()
        answer.partial_success.rejected_spans = 1
        answer.partial_success.error_message = "one too many"
        self.answer(200, answer.SerializeToString())

    def answer_huge(self):
        self.close_connection = True
        self.answer(200, length=1 << 30)
        try:
            for _ in range(1 << 10):
                self.wfile.write(bytes(1 << 20))
        except OSError:  # the client has seen enough
            pass

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--out", type=argparse.FileType("w"), required=True)
    parser.add_argument("--mode", choices=MODES, default="ok")
    parser.add_argument("--cert", help="certificate (PEM): speak TLS")
    parser.add_argument("--key", help="its key (PEM)")
    args = parser.parse_args()
    sink = Sink(args.out, args.port, args.mode)
    if args.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(args.cert, args.key)
        sink.socket = context.wrap_socket(sink.socket, server_side=True)
    print(sink.server_address[1], flush=True)
    try:
        sink.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
