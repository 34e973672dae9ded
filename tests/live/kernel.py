# SPDX-License-Identifier: Apache-2.0
"""What of BPF is in the kernel, by the system call itself: whose it is, whether it is still there,
and maps that a test fills and empties."""

import contextlib
import ctypes
import errno
import os
import platform
import re
import struct
from pathlib import Path

SYS_BPF = {"x86_64": 321}.get(platform.machine(), 280)
DELETE, NEXT_KEY = 3, 4
BY_ID = {"prog": 13, "map": 14, "link": 30}
INFO_BY_FD = 15
UPDATE_BATCH = 26
ENABLE_STATS = 32
BATCH = 4096

_libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attributes):
    """The system call; an OSError when it fails."""
    data = ctypes.create_string_buffer(attributes.ljust(128, b"\0"), 128)
    result = _libc.syscall(SYS_BPF, command, data, len(data))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


# ---- objects ----------------------------------------------------------------------------


def held_by(pid):
    """{(kind, id)} of what the process holds by its open files.  Whatever is in the kernel of it
    beyond its end is here, too: a pin or an attachment keeps what was made by a file."""
    found = set()
    for path in Path(f"/proc/{pid}/fdinfo").iterdir():
        with contextlib.suppress(OSError):
            found |= {(kind, int(number)) for kind, number in
                      re.findall(r"^(prog|map|link)_id:\s+(\d+)", path.read_text(), re.M)}
    return found


def is_there(kind, number):
    try:
        os.close(bpf(BY_ID[kind], struct.pack("I", number)))
    except FileNotFoundError:
        return False
    return True


def left_of(objects):
    return {one for one in objects if is_there(*one)}


def pins():
    """Files of the BPF file system, wherever it is mounted."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return {path for mount in mounts if mount[2] == "bpf" for path in Path(mount[1]).rglob("*")}


# ---- maps -------------------------------------------------------------------------------


class Map:
    """A map of the process @pid, by its name."""

    def __init__(self, pid, name):
        for kind, number in sorted(held_by(pid)):
            if kind == "map" and self._open(number, name.encode()[:15]):
                return
        raise AssertionError(f"process {pid} has no map {name}")

    def _open(self, number, name):
        self.fd = bpf(BY_ID["map"], struct.pack("I", number))
        info = ctypes.create_string_buffer(256)
        bpf(INFO_BY_FD, struct.pack("IIQ", self.fd, len(info), ctypes.addressof(info)))
        _type, _id, self.key_size, self.value_size, self.bound = struct.unpack_from("5I", info)
        if info.raw[24:40].rstrip(b"\0") == name:
            return True
        os.close(self.fd)
        return False

    def keys(self):
        found, key = [], None
        following = ctypes.create_string_buffer(self.key_size)
        while True:
            last = ctypes.create_string_buffer(key, self.key_size) if key is not None else None
            try:
                bpf(NEXT_KEY, struct.pack("I4xQQ", self.fd,
                                          ctypes.addressof(last) if last else 0,
                                          ctypes.addressof(following)))
            except FileNotFoundError:
                return found
            key = following.raw
            found.append(key)

    def fill(self, key, count):
        """Adds key(0), key(1), ... with a value of zeros until @count are in, or no more fit; the
        keys that are in."""
        done = []
        for first in range(0, count, BATCH):
            keys = [key(number) for number in range(first, min(first + BATCH, count))]
            added = self._add(keys)
            done += keys[:added]
            self._add(keys[:added])  # used again: only then others make room for them in an LRU map
            if added < len(keys):
                break
        return done

    def _add(self, keys):
        """How many of them found room."""
        names = ctypes.create_string_buffer(b"".join(keys), len(keys) * self.key_size)
        values = ctypes.create_string_buffer(len(keys) * self.value_size)
        attributes = ctypes.create_string_buffer(struct.pack(
            "QQQQIIQQ", 0, 0, ctypes.addressof(names), ctypes.addressof(values), len(keys),
            self.fd, 0, 0).ljust(128, b"\0"), 128)
        if _libc.syscall(SYS_BPF, UPDATE_BATCH, attributes, 128) < 0:
            assert ctypes.get_errno() in (errno.E2BIG, errno.ENOMEM), ctypes.get_errno()
        return struct.unpack_from("I", attributes, 32)[0]

    def remove(self, keys):
        for key in keys:
            with contextlib.suppress(FileNotFoundError):
                data = ctypes.create_string_buffer(key, len(key))
                bpf(DELETE, struct.pack("I4xQ", self.fd, ctypes.addressof(data)))

    def close(self):
        os.close(self.fd)


@contextlib.contextmanager
def filled(process, name, key):
    """The map is as full as it gets; then it is as it was.  What it yields fills it again: where
    others have left there is room."""
    table, keys = Map(process, name), []

    def fill():
        first = len(keys)
        keys.extend(table.fill(lambda number: key(first + number), 2 * table.bound))

    fill()
    try:
        yield fill
    finally:
        table.remove(keys)
        table.close()


def numbers(first=0):
    """Keys for fill(): as good as never those of a process or a connection."""
    return lambda number: struct.pack("I", first + number)


def statistics():
    """Switches the kernel's statistics of programs on, until the file is closed."""
    return bpf(ENABLE_STATS, struct.pack("I", 0))


