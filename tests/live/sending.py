# SPDX-License-Identifier: Apache-2.0
"""The ways in which a program can send the head and the body of a message.

Each takes (blocking socket, head, body) and returns when all is with the kernel.
"""

import os
import random
import select
import socket

PIPE_BYTES = 1 << 16
SECONDS = 60  # that a socket may stand still


def cut(data, count, head=0):
    """@data in at most @count pieces, cut at places that depend on it only; not in the last line
    end of the @head bytes, for then there may be no header (torments.split_heads)."""
    chance = random.Random(len(data) * 1000 + count)
    places = sorted(chance.sample(range(1, len(data)), min(count, len(data)) - 1))
    places = [place for place in places if place != head - 1]
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)])]


def whole(sock, head, body):
    sock.sendall(head + body)


def apart(sock, head, body):
    sock.sendall(head)
    sock.sendall(body)


def pieces(count):
    def way(sock, head, body):
        for piece in cut(head + body, count, len(head)):
            sock.sendall(piece)
    return way


def vectors(count, call):
    """One call with @count vectors, and others for what is left of it."""
    def way(sock, head, body):
        left = cut(head + body, count)
        while left:
            sent = call(sock, left)
            while left and sent >= len(left[0]):
                sent -= len(left.pop(0))
            if left:
                left[0] = left[0][sent:]
    return way


def writev(count):
    return vectors(count, lambda sock, left: os.writev(sock.fileno(), left))


def sendmsg(count):
    return vectors(count, lambda sock, left: sock.sendmsg(left))


def from_file(sock, data):
    with open(os.memfd_create("body"), "wb+") as file:
        file.write(data)
        file.flush()
        at = 0
        while at < len(data):
            at += os.sendfile(sock.fileno(), file.fileno(), at, len(data) - at)


def sendfile(sock, head, body):
    sock.sendall(head)
    from_file(sock, body)


def sendfile_more(sock, head, body):
    """As nginx does: the head waits for the file."""
    sock.send(head, socket.MSG_MORE)
    from_file(sock, body)


def splice(sock, head, body):
    sock.sendall(head)
    receive, send = os.pipe()
    try:
        while body:
            size = os.write(send, body[:PIPE_BYTES])
            body = body[size:]
            while size:
                size -= os.splice(receive, sock.fileno(), size)
    finally:
        os.close(receive)
        os.close(send)


def more(sock, head, body):
    """MSG_MORE on all but the last piece."""
    left = cut(head + body, 5, len(head))
    for piece in left[:-1]:
        while piece:
            piece = piece[sock.send(piece, socket.MSG_MORE):]
    sock.sendall(left[-1])


def corked(sock, head, body):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    pieces(6)(sock, head, body)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)


def edge(sock, head, body):
    """Non-blocking, woken at the edge only: what is lost between two wake-ups stands still."""
    sock.setblocking(False)
    left = memoryview(head + body)
    with select.epoll() as epoll:
        epoll.register(sock, select.EPOLLOUT | select.EPOLLET)
        while left:
            if not epoll.poll(SECONDS):
                raise TimeoutError("no room in the socket")
            try:
                while left:
                    left = left[sock.send(left):]
            except BlockingIOError:
                pass
    sock.setblocking(True)


WAYS = {
    "whole": whole, "apart": apart, "pieces": pieces(4), "writev 2": writev(2),
    "writev 3": writev(3), "writev 40": writev(40), "sendmsg 7": sendmsg(7),
    "sendfile": sendfile, "sendfile after MSG_MORE": sendfile_more, "splice": splice,
    "MSG_MORE": more, "TCP_CORK": corked, "EPOLLET": edge,
}
