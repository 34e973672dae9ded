# SPDX-License-Identifier: Apache-2.0
"""Clients that do an exact number of operations on connections we hold in hand."""

import socket
import struct

from harness import PATIENCE, in_threads


class Connection:
    """A client's stream socket with the few reads that protocols need."""

    def __init__(self, address, seconds=60):
        if isinstance(address, int):
            address = ("127.0.0.1", address)
        if isinstance(address, tuple):
            self.socket = socket.create_connection(address, seconds * PATIENCE)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(seconds * PATIENCE)
            self.socket.connect(str(address))
        self.buffer = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def more(self):
        data = self.socket.recv(65536)
        if not data:
            raise EOFError(f"the peer closed after {bytes(self.buffer[:200])!r}")
        self.buffer += data

    def exactly(self, size):
        while len(self.buffer) < size:
            self.more()
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    def until(self, mark):
        seen = 0
        while (found := self.buffer.find(mark, seen)) < 0:
            seen = max(0, len(self.buffer) - len(mark))
            self.more()
        return self.exactly(found + len(mark))

    def rest(self):
        """All up to the end of the stream."""
        try:
            while True:
                self.more()
        except EOFError:
            return self.exactly(len(self.buffer))


# ---- HTTP -------------------------------------------------------------------------------


def http_request(port, path="/ok", headers="", method="GET", body=b""):
    """The port in Host becomes server.port: by it the tests know their spans."""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}{length}\r\n"
    return head.encode() + body


class Http(Connection):
    def get(self, path="/ok", headers="", method="GET", body=b""):
        port = self.socket.getpeername()[1]
        self.send(http_request(port, path, headers, method, body))
        return self.response(method)

    def response(self, method="GET"):
        """(status, body) of a response with a length, of chunks, or without a body."""
        head = self.until(b"\r\n\r\n").decode().lower()
        status = int(head.split()[1])
        if status < 200 or status in (204, 304) or method == "HEAD":
            return status, b""
        if "transfer-encoding: chunked" in head:
            return status, self.chunks()
        if "content-length:" not in head:
            return status, self.rest()
        return status, self.exactly(int(head.split("content-length:")[1].split()[0]))

    def chunks(self):
        body = b""
        while size := int(self.until(b"\r\n"), 16):
            body += self.exactly(size)
            self.until(b"\r\n")
        self.until(b"\r\n")
        return body


def http(port, connections, each, pipeline=1, path="/ok"):
    """@each requests on each of @connections, @pipeline of them at a time; how many in all."""
    def work(_index):
        with Http(port) as connection:
            for _ in range(each // pipeline):
                connection.send(http_request(port, path) * pipeline)
                for _ in range(pipeline):
                    status, _body = connection.response()
                    assert status == 200, status
        return each // pipeline * pipeline
    return sum(in_threads(work, connections))


# ---- PostgreSQL -------------------------------------------------------------------------


def message(kind, body=b""):
    return kind + struct.pack("!I", len(body) + 4) + body


def parse(sql, name=""):
    return message(b"P", name.encode() + b"\0" + sql.encode() + b"\0" + b"\0\0")


def bind(*values, name=""):
    out = b"\0" + name.encode() + b"\0" + struct.pack("!HH", 0, len(values))
    for value in values:
        text = str(value).encode()
        out += struct.pack("!I", len(text)) + text
    return message(b"B", out + struct.pack("!H", 0))


def execute():
    return message(b"E", b"\0" + struct.pack("!I", 0))


def sync():
    return message(b"S")


def query(sql):
    return message(b"Q", sql.encode() + b"\0")


class Pg(Connection):
    """A PostgreSQL client without a library: says exactly what the test wants said."""

    def __init__(self, address, database="shop"):
        super().__init__(address)
        parameters = f"user\0postgres\0database\0{database}\0\0".encode()
        self.send(struct.pack("!II", len(parameters) + 8, 196608) + parameters)
        self.key = dict(self.until_ready()).get(b"K")

    def next(self):
        kind = self.exactly(1)
        return kind, self.exactly(struct.unpack("!I", self.exactly(4))[0] - 4)

    def until_ready(self):
        got = []
        while not got or got[-1][0] != b"Z":
            got.append(self.next())
        return got

    def ask(self, data):
        """Sends; all messages up to ReadyForQuery."""
        self.send(data)
        return self.until_ready()

    def cancel(self, address):
        with Connection(address) as other:
            other.send(struct.pack("!II", 16, 80877102) + self.key)
            other.rest()


# ---- Redis ------------------------------------------------------------------------------


def command(*words):
    out = b"*%d\r\n" % len(words)
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        out += b"$%d\r\n%s\r\n" % (len(data), data)
    return out


class Redis(Connection):
    def ask(self, *words):
        self.send(command(*words))
        return self.reply()

    def reply(self):
        """One whole reply of RESP2 or RESP3, nested ones as lists."""
        line = self.until(b"\r\n")[:-2]
        kind, rest = line[:1], line[1:]
        if kind in b"$=!":
            return self.exactly(int(rest) + 2)[:-2] if int(rest) >= 0 else None
        if kind in b"*~>":
            return [self.reply() for _ in range(int(rest))] if int(rest) >= 0 else None
        if kind == b"%":
            return [self.reply() for _ in range(2 * int(rest))]
        return line
