# SPDX-License-Identifier: Apache-2.0
"""A FastCGI 1.0 client that says exactly what the test wants said."""

import struct

import load

BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR = range(1, 8)
RESPONDER, KEEP = 1, 1


def record(kind, content=b"", request=1, padding=0):
    head = struct.pack("!BBHHBx", 1, kind, request, len(content), padding)
    return head + content + b"\0" * padding


def length(size):
    return struct.pack("!I", size | 1 << 31) if size > 127 else bytes([size])


def pairs(values):
    out = b""
    for name, value in values.items():
        out += length(len(name)) + length(len(value)) + f"{name}{value}".encode()
    return out


def begin(keep=0, request=1):
    return record(BEGIN, struct.pack("!HB5x", RESPONDER, keep), request)


def request(values, body=b"", keep=0, padding=0):
    """A whole one, as web servers send it at once."""
    return begin(keep) + record(PARAMS, pairs(values), padding=padding) + record(PARAMS) + \
        (record(STDIN, body) if body else b"") + record(STDIN)


class Client(load.Connection):
    def next(self):
        """(type, content) of a record."""
        _, kind, _, size, padding = struct.unpack("!BBHHBx", self.exactly(8))
        return kind, self.exactly(size + padding)[:size]

    def response(self):
        """What came on the standard output, with the header."""
        out, kind = b"", 0
        while kind != END:
            kind, content = self.next()
            out += content if kind == STDOUT else b""
        assert content[4] == 0, f"the application says no: {content!r}"
        return out

    def ask(self, *args, **kwargs):
        self.send(request(*args, **kwargs))
        return self.response()
