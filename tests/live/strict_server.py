# SPDX-License-Identifier: Apache-2.0
"""An HTTP server that tells the client what it got, byte for byte.

    strict_server.py HTTP-PORT ECHO-PORT [ADDRESS]

The body of an answer is a JSON list with a report of each request read whole since the last
such list: {"head", "size", "sha256"}, the latter two of the body as it was on the wire.  What a
request wants stands in its target's query, "?word&word":

    early   the answer comes before the body is read
    hints   103 Early Hints, longer than many answers, comes before the body is read
    tiny    the answer is the shortest there is, without a list
    slow    the answer comes in pieces

CONNECT and Upgrade make an echo of the connection, as is all that comes to ECHO-PORT.
GET /state has no report; its answer: {"open": other connections, "faults": [what was no HTTP]}.
"""

import hashlib
import json
import socket
import sys
import threading

from http_wire import PIECE, Broken, Reader, changes_protocol, field

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\n\r\n"
TINY = b"HTTP/1.1 204 N\r\n\r\n"
UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
CONNECTED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class Server:
    def __init__(self):
        self.lock = threading.Lock()
        self.open, self.faults = 0, []

    def listen(self, host, port, serve):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=512)
        threading.Thread(target=self.accept, args=(listener, serve), daemon=True).start()

    def accept(self, listener, serve):
        while True:
            peer, _ = listener.accept()
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.open += 1
            threading.Thread(target=self.guard, args=(peer, serve), daemon=True).start()

    def guard(self, peer, serve):
        try:
            serve(peer)
        except (Broken, EOFError, ValueError) as fault:
            with self.lock:
                self.faults.append(str(fault))
        except OSError:
            pass  # the client has gone: it knows why
        finally:
            peer.close()
            with self.lock:
                self.open -= 1

    def state(self):
        with self.lock:
            return {"open": self.open - 1, "faults": self.faults}

    def http(self, peer):
        connection = Connection(peer)
        while head := connection.reader.head():
            if head.startswith(b"GET /state "):
                peer.sendall(ok(self.state()))
            elif changes_protocol(head):
                connection.tunnel(head)
                return
            else:
                connection.serve(head)


class Connection:
    def __init__(self, peer):
        self.peer, self.reader, self.reports = peer, Reader(peer), []

    def serve(self, head):
        wants = head.split(b" ")[1].partition(b"?")[2].split(b"&")
        if b"hints" in wants:
            self.peer.sendall(HINTS)
        if field(head, b"expect"):
            self.peer.sendall(CONTINUE)
        if b"early" in wants:
            self.answer()
        digest, sizes = hashlib.sha256(), []

        def take(piece):
            digest.update(piece)
            sizes.append(len(piece))

        self.reader.body(head, take)
        self.report(head, sum(sizes), digest)
        if b"tiny" in wants:
            self.peer.sendall(TINY)
        elif b"early" not in wants:
            self.answer(b"slow" in wants)

    def report(self, head, size=0, digest=None):
        self.reports.append({"head": head.decode("latin-1"), "size": size,
                             "sha256": (digest or hashlib.sha256()).hexdigest()})

    def answer(self, slow=False):
        data, self.reports = ok(self.reports), []
        for piece in [data[:9], data[9:30], data[30:]] if slow else [data]:
            self.peer.sendall(piece)

    def tunnel(self, head):
        """The head's report is the first line that comes back."""
        self.report(head)
        self.peer.sendall(CONNECTED if head.startswith(b"CONNECT ") else UPGRADED)
        self.peer.sendall(json.dumps(self.reports).encode() + b"\n" + self.reader.buffer)
        echo(self.peer)


def ok(content):
    body = json.dumps(content).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def echo(peer):
    while data := peer.recv(PIECE):
        peer.sendall(data)


def main():
    http, echoed = map(int, sys.argv[1:3])
    host = sys.argv[3] if len(sys.argv) > 3 else "127.0.0.1"
    server = Server()
    server.listen(host, http, server.http)
    server.listen(host, echoed, echo)
    threading.Event().wait()


if __name__ == "__main__":
    main()
