#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A client that goes on until its standard input ends, and reads every byte of the answers.

    steady.py PORT CONNECTIONS EACH PAUSE_MS

The server answers with the target of the request.  Each of the connections sends one request
after another; after EACH of them (0: never) it is closed and made anew.  Every second a line "N M" tells
of N requests that were answered right so far on M connections; the last line is the sum.  The
first wrong answer ends it with a message and status 1.
"""

import os
import signal
import socket
import sys
import threading

over = threading.Event()
done, opened, faults = [], [], []


def connect(port):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def receive(connection, expected):
    answer = b""
    while not answer.endswith(expected):
        more = connection.recv(65536)
        if not more:
            raise EOFError(f"closed amid {answer!r}")
        answer += more
    head, body = answer.split(b"\r\n\r\n", 1)
    if not head.startswith(b"HTTP/1.1 200 ") or body != expected:
        raise ValueError(f"{answer!r}, expected {expected!r}")


def talk(port, index, each, pause_ms):
    connection = connect(port)
    opened[index] += 1
    while not over.is_set():
        if each and done[index] and done[index] % each == 0:
            connection.close()
            connection = connect(port)
            opened[index] += 1
        target = f"/echo/{index}/{done[index]}"
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        receive(connection, target.encode() + b"\n")
        done[index] += 1
        if pause_ms:
            over.wait(pause_ms / 1000)
    connection.close()


def body(index, arguments):
    # The main thread alone takes signals: these wait in recv().
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        talk(arguments[0], index, *arguments[2:])
    except (OSError, EOFError, ValueError) as fault:
        faults.append(fault)
        over.set()


def report():
    print(sum(done), sum(opened), flush=True)


def wait_for_the_end():
    while os.read(0, 1):
        pass
    over.set()


def main():
    arguments = [int(word) for word in sys.argv[1:5]]
    connections = arguments[1]
    done.extend([0] * connections)
    opened.extend([0] * connections)
    threads = [threading.Thread(target=body, args=(i, arguments)) for i in range(connections)]
    threading.Thread(target=wait_for_the_end, daemon=True).start()
    for thread in threads:
        thread.start()
    while not over.wait(1):
        report()
    for thread in threads:
        thread.join()
    report()
    if faults:
        print(f"{type(faults[0]).__name__}: {faults[0]}", flush=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
