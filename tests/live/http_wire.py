# SPDX-License-Identifier: Apache-2.0
"""HTTP/1 requests read strictly from a socket: a byte that does not belong there is an error.

What is not supported: obsolete line folding, a length given twice, bodies that end with the
connection (no request has one).
"""

import re

REQUEST_LINE = re.compile(rb"[A-Z]+ [\x21-\x7e]+ HTTP/1\.[01]")
HEADER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e]*")
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:;[\t\x20-\x7e]*)?\r\n")
PIECE = 1 << 18


class Broken(Exception):
    """What came is not HTTP."""


class Reader:
    """The requests of a connection, and their bodies as they are on the wire."""

    def __init__(self, socket):
        self.socket, self.buffer = socket, b""

    def more(self):
        data = self.socket.recv(PIECE)
        if not data:
            raise EOFError(f"the stream ends after {self.buffer[:200]!r}")
        self.buffer += data

    def until(self, mark):
        while (end := self.buffer.find(mark)) < 0:
            self.more()
        end += len(mark)
        taken, self.buffer = self.buffer[:end], self.buffer[end:]
        return taken

    def head(self):
        """A request's head up to and with the empty line; b"" where the stream ends."""
        if not self.buffer:
            try:
                self.more()
            except EOFError:
                return b""
        head = self.until(b"\r\n\r\n")
        check_head(head)
        return head

    def body(self, head, take):
        """Hands the body to take(bytes) as it is on the wire: chunks with their framing."""
        if is_chunked(head):
            self.chunks(take)
        else:
            self.exactly(int(field(head, b"content-length") or 0), take)

    def exactly(self, size, take):
        while size:
            if not self.buffer:
                self.more()
            piece, self.buffer = self.buffer[:size], self.buffer[size:]
            size -= len(piece)
            take(piece)

    def chunks(self, take):
        size = -1
        while size != 0:
            line = self.until(b"\r\n")
            if not (match := CHUNK_SIZE.fullmatch(line)):
                raise Broken(f"no size of a chunk: {line[:200]!r}")
            take(line)
            size = int(match[1], 16)
            if size:
                self.exactly(size, take)
                self.expect(b"\r\n", take)
        while (line := self.until(b"\r\n")) != b"\r\n":
            if not HEADER.fullmatch(line[:-2]):
                raise Broken(f"no trailer: {line[:200]!r}")
            take(line)
        take(line)

    def expect(self, bytes_, take):
        while len(self.buffer) < len(bytes_):
            self.more()
        if not self.buffer.startswith(bytes_):
            raise Broken(f"{self.buffer[:200]!r} instead of {bytes_!r}")
        self.exactly(len(bytes_), take)


def check_head(head):
    first, *lines = head[:-4].split(b"\r\n")
    if not REQUEST_LINE.fullmatch(first):
        raise Broken(f"no request line: {first[:200]!r}")
    for line in lines:
        if not HEADER.fullmatch(line):
            raise Broken(f"no header: {line[:200]!r}")


def values(head, name):
    """The values of each line of the header @name, which is lower case."""
    lines = (line.partition(b":") for line in head[:-4].split(b"\r\n")[1:])
    return [value.strip() for key, _, value in lines if key.lower() == name]


def field(head, name):
    found = values(head, name)
    if len(found) > 1:
        raise Broken(f"{len(found)} headers {name.decode()}")
    return found[0] if found else None


def is_chunked(head):
    return (field(head, b"transfer-encoding") or b"").lower().endswith(b"chunked")


def changes_protocol(head):
    return head.startswith(b"CONNECT ") or field(head, b"upgrade") is not None
