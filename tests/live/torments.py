# SPDX-License-Identifier: Apache-2.0
"""The scenarios of the injection torture: each takes a Torture and talks HTTP with its server."""

import dataclasses
import itertools
import random
import select
import socket

import sending
from harness import equal, in_threads
from torture import AT_MOST_ONE

SIZES = (1, 2, 100, 1447, 1448, 4095, 4096, 16384, 32768, 50000, 60000, 65535, 65536, 65537, 100000, 300000)
LIKE_A_REQUEST = b"GET /smuggled HTTP/1.1\r\nHost: body\r\n\r\n"


def content(size):
    return random.Random(size).randbytes(size)


def like_requests(size):
    return (LIKE_A_REQUEST * (size // len(LIKE_A_REQUEST) + 1))[:size]


def bodies(torture, sizes=SIZES):
    """Each way of sending with each size."""
    for nodelay, (name, way) in itertools.product((True, False), sending.WAYS.items()):
        with torture.talk(nodelay) as talk:
            for size in sizes:
                talk.ask(torture.request(content(size), headers=f"X-Way: {name}\r\n"), way)


def large_bodies(torture):
    for way, size in itertools.product(sending.WAYS.values(), (1 << 20, 5 << 20)):
        with torture.talk() as talk:
            talk.ask(torture.request(content(size)), way)
            talk.ask(torture.request())
    torture.ask(content(20 << 20))
    with torture.talk() as talk:
        talk.ask(torture.request(content(20 << 20)), sending.edge)


def split_heads(torture):
    """A head in two sends, at each place; of one the end has begun to go before it is known."""
    with torture.talk() as talk:
        talk.ask(torture.request())
        for place in itertools.count(1):
            request = torture.request(b"body", headers="X-Long: 0123456789\r\n")
            if place == len(request.head) - 1:
                request = dataclasses.replace(request, wanted=AT_MOST_ONE)
            if place >= len(request.bytes):
                break
            talk.owed.append(request)
            talk.send(request.bytes[:place])
            talk.send(request.bytes[place:])
            talk.take()


def slow_heads(torture):
    """In sends of few bytes.  No piece may hold the end of a head whole: then no header."""
    for step in (1, 2, 3, 5, 7):
        with torture.talk() as talk:
            for _ in range(4):
                request = torture.request(b"body", wanted=AT_MOST_ONE)
                talk.owed.append(request)
                for at in range(0, len(request.bytes), step):
                    talk.send(request.bytes[at:at + step])
                talk.take()
            talk.ask(torture.request())


def long_heads(torture):
    for way in (sending.whole, sending.apart, sending.pieces(4), sending.writev(40), sending.edge):
        with torture.talk() as talk:
            for size in (0, 100, 900, 1900, 4000, 8000, 20000):
                talk.ask(torture.request(padding=size), way)
                talk.ask(torture.request(content(size + 1), padding=size), way)
    for size in (500, 2100, 4200, 8000):
        torture.ask(query="q" * size)


PAGE = 32 << 10  # where a thread's data waits, one send behind the other
ROUND = 3 << 10  # bytes of a head


def page_ends(torture):
    """The data of a send lies in two pages, at each offset of the head that is a multiple of 1 KB."""
    for place in range(1024, ROUND, 1024):
        in_threads(lambda _, place=place: page_end(torture, place), 1)


def page_end(torture, place):
    """The first sends of a thread fill its page: of the head @place bytes are in there."""
    with socket.create_server(("127.0.0.1", 0)) as listener, \
            socket.create_connection(listener.getsockname()) as filler, listener.accept()[0], \
            torture.talk() as talk:
        filler.sendall(bytes(PAGE - place))  # nobody reads that: the page is not given back
        short = torture.request(padding=900)
        for padding in range(900 + ROUND - len(short.head) - 200, 900 + ROUND):
            request = torture.request(padding=padding)
            if len(request.head) == ROUND:
                break
        equal(len(request.head), ROUND, "bytes of the head")
        talk.ask(request)


def methods(torture):
    with torture.talk() as talk:
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"):
            talk.ask(torture.request(method=method))
        talk.ask(torture.request(headers="tracepar: x\r\nX-traceparent: 1\r\ntraceparents: 2\r\n"))
        talk.ask(torture.request(headers="X: traceparent: 00-1\r\n"))
    torture.ask(method="BREW", wanted=AT_MOST_ONE)


def pipelines(torture):
    """Several requests in one send.  What stands behind the bytes that are looked at of a send
    has no span, and so no header."""
    for count, body in itertools.product((2, 3, 7, 20), (b"", b"b", LIKE_A_REQUEST, content(3000))):
        wanted = AT_MOST_ONE if len(body) > 1000 else torture.wanted
        with torture.talk() as talk:
            for _ in range(2):
                pipeline(talk, [torture.request(body, wanted=wanted) for _ in range(count)])


def pipeline(talk, requests):
    talk.owed.extend(requests)
    talk.send(b"".join(request.bytes for request in requests))
    for _ in requests:
        talk.take()


def unread_pipelines(torture):
    """Sent while the answers before it are unread.  Where a request begins is then certain only
    to who has read all lengths: a header may be missing, no byte may be changed."""
    for body in (b"", LIKE_A_REQUEST, content(5000)):
        with torture.talk() as talk:
            for _ in range(20):
                talk.put(torture.request(body, wanted=AT_MOST_ONE))
            for _ in range(20):
                talk.take()
            talk.ask(torture.request(wanted=AT_MOST_ONE))


def bodies_like_requests(torture):
    """In sends of their own, which begin where a request would."""
    for size in (len(LIKE_A_REQUEST), 1000, 70000):
        with torture.talk() as talk:
            for way in (sending.apart, sending.pieces(3), sending.sendfile, sending.splice):
                talk.ask(torture.request(like_requests(size)), way)
            request = torture.request(LIKE_A_REQUEST * 40)
            talk.owed.append(request)
            talk.send(request.head)
            for _ in range(40):
                talk.send(LIKE_A_REQUEST)
            talk.take()
            talk.ask(torture.request())


def chunks(torture):
    with torture.talk() as talk:
        for way in (sending.whole, sending.apart, sending.pieces(5), sending.writev(9)):
            talk.ask(torture.request(chunks=[content(n) for n in (1, 16, 4000)]), way)
            talk.ask(torture.request(chunks=[LIKE_A_REQUEST, b"0\r\n\r\n", LIKE_A_REQUEST]), way)
        talk.ask(torture.request(chunks=[]))
        request = torture.request(chunks=[LIKE_A_REQUEST] * 20)
        talk.owed.append(request)
        talk.send(request.head)
        framing = b"%x\r\n" % len(LIKE_A_REQUEST)
        for _ in range(20):  # a library may write size, data and end each by itself
            talk.send(framing)
            talk.send(LIKE_A_REQUEST)
            talk.send(b"\r\n")
        talk.send(b"0\r\n\r\n")
        talk.take()
        talk.ask(torture.request())


def early_answers(torture):
    """A body that goes on after an answer, interim or final, and then looks like a request."""
    for early, hints, expect in itertools.product((False, True), repeat=3):
        query = "&".join(["early"] * early + ["hints"] * hints)
        headers = "Expect: 100-continue\r\n" * expect
        with torture.talk() as talk:
            for size, begun in ((len(LIKE_A_REQUEST), 0), (5000, 0), (5000, len(LIKE_A_REQUEST)),
                                (100000, 0)):
                request = torture.request(like_requests(size), query=query, headers=headers)
                early_answer(talk, request, begun, hints + expect)
            for begun in (0, len(b"26\r\n")):
                request = torture.request(chunks=[LIKE_A_REQUEST] * 3, query=query, headers=headers)
                early_answer(talk, request, begun, hints + expect)


def early_answer(talk, request, begun, interim):
    """Sends the head with @begun bytes of the body, reads what comes, sends the rest.  What comes
    behind a long rest is in the same turn, of which too little is copied for a span."""
    talk.owed.append(request)
    talk.send(request.head + request.body[:begun])
    for _ in range(interim):
        status, _ = talk.response()
        assert status in (100, 103), status
    if b"?early" in request.head:
        equal(talk.response(), (200, b"[]"), "the early answer")
        talk.send(request.body[begun:])
        talk.ask(talk.torture.request(wanted=AT_MOST_ONE))
    else:
        talk.send(request.body[begun:])
        talk.take()


def lengths(torture):
    """Each way to say where a body ends; behind it comes what looks like a request."""
    told = [f"{name}:{before}{value}{after}" for name, (before, after), value in itertools.product(
        ("Content-Length", "content-length", "CONTENT-LENGTH"),
        (("", ""), (" ", ""), ("\t ", " \t")), (len(LIKE_A_REQUEST), f"000{len(LIKE_A_REQUEST)}"))]
    coded = ["Transfer-Encoding: Chunked", "transfer-encoding:chunked",
             "TRANSFER-ENCODING: gzip, chunked", "Content-Length: 3\r\nTransfer-Encoding: chunked",
             "Transfer-Encoding: chunked\r\nContent-Length: 3"]
    framed = b"26\r\n" + LIKE_A_REQUEST + b"\r\n0\r\n" + b"Trailer: x\r\n\r\n"
    for lines, body in [(line, LIKE_A_REQUEST) for line in told] + [(line, framed) for line in coded]:
        with torture.talk() as talk:
            for way in (sending.whole, sending.apart, sending.pieces(9)):
                talk.ask(torture.message(f"{lines}\r\n", body), way)
            pipeline(talk, [torture.message(f"{lines}\r\n", body) for _ in range(3)])
            talk.ask(torture.request())


def full_buffers(torture):
    """Non-blocking sends that the kernel takes in part, because nobody reads."""
    for room in (2304, 20000, 100000):
        with torture.talk() as talk:
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                talk.socket.setsockopt(socket.SOL_SOCKET, option, room)
            chance = random.Random(room)
            for _ in range(300):
                body = content(int(chance.expovariate(1 / 800)))
                request = torture.request(body, wanted=AT_MOST_ONE)
                talk.owed.append(request)
                push(talk, request.bytes)
            while talk.owed:
                talk.take()


def push(talk, data):
    """What does not go goes when an answer was read; the last one may wait for what is left."""
    while data:
        try:
            data = data[talk.socket.send(data, socket.MSG_DONTWAIT):]
        except BlockingIOError:
            ready, _, _ = select.select([talk.socket] if len(talk.owed) > 1 else [],
                                        [talk.socket], [], sending.SECONDS)
            if ready:
                talk.take()


def early_data(torture):
    """TCP Fast Open: the first bytes are with the kernel before the connection is there."""
    for size in (0, 300, 4000):
        with torture.talk(connect=False) as talk:
            request = torture.request(like_requests(size), wanted=AT_MOST_ONE)
            talk.owed.append(request)
            talk.connect(request.head)
            talk.send(request.body)
            talk.take()
            talk.ask(torture.request(LIKE_A_REQUEST, wanted=AT_MOST_ONE), sending.apart)
    torture.ask()


def resets(torture):
    """Connections that end amid a message leave nothing behind for others."""
    for place in (3, 50, 500, 5000):
        for _ in range(10):
            talk = torture.talk()
            talk.ask(torture.request())
            talk.send(torture.request(content(9000)).bytes[:place])
            talk.reset()
            torture.ask(b"body")


def odd_answers(torture):
    """What is before the next request: the shortest answer, one in pieces, HEAD's."""
    with torture.talk() as talk:
        for query in ("tiny", "slow", "tiny", "tiny", "slow"):
            for body in (b"", b"b", LIKE_A_REQUEST):
                talk.put(torture.request(body, query=query), sending.apart if body else
                         sending.whole)
                talk.take()
    for body in (b"", b"b", content(50000)):  # half-closed: the answer comes all the same
        with torture.talk() as talk:
            talk.put(torture.request(body))
            talk.socket.shutdown(socket.SHUT_WR)
            talk.take()
            equal(talk.rest(), b"", "bytes behind the answer")


def tunnels(torture):
    """After CONNECT or an upgrade the bytes are no requests, whatever they look like."""
    upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n"
    for opening in ({"headers": upgrade}, {"method": "CONNECT", "target": "shop:443"}):
        with torture.talk() as talk:
            talk.tunnel(torture.request(wanted=AT_MOST_ONE, **opening))
            for data in (LIKE_A_REQUEST, b"x", LIKE_A_REQUEST * 2, content(200000), LIKE_A_REQUEST):
                talk.echoes(data)
                talk.echoes(LIKE_A_REQUEST)


def mixed(torture, connections, each):
    """Keep-alive connections side by side."""
    in_threads(lambda index: mixed_talk(torture, index, each), connections)


def mixed_talk(torture, seed, count):
    """Sizes and ways at random."""
    chance = random.Random(seed)
    ways = list(sending.WAYS.values())
    with torture.talk(seed % 2 == 0) as talk:
        for _ in range(count):
            size = int(chance.expovariate(1 / 3000)) if chance.random() < 0.4 else 0
            way = chance.choice(ways) if size else sending.whole
            talk.ask(torture.request(content(size), padding=chance.choice((0, 0, 200))), way)


def small(torture):
    with torture.talk() as talk:
        talk.ask(torture.request())
        talk.ask(torture.request(LIKE_A_REQUEST))
        talk.ask(torture.request(chunks=[b"chunk"]))


ALL = (bodies, split_heads, slow_heads, long_heads, page_ends, methods, pipelines, unread_pipelines,
       bodies_like_requests, lengths, chunks, full_buffers, early_data, early_answers,
       odd_answers, tunnels)
