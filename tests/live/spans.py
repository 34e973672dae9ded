# SPDX-License-Identifier: Apache-2.0
"""OTLP as plain objects, read by a small decoder of our own: no package is needed, and it
shares no code with the encoder under test."""

import struct
from dataclasses import dataclass, field
from functools import cached_property

SERVER, CLIENT = 2, 3  # Span.kind
UNSET, ERROR = 0, 2  # Status.code


@dataclass(repr=False)
class Span:
    trace_id: str = ""
    span_id: str = ""
    parent_id: str = ""
    trace_state: str = ""
    flags: int = 0
    name: str = ""
    kind: int = 0
    start_ns: int = 0
    end_ns: int = 0
    status: int = UNSET
    status_message: str = ""
    dropped_attributes: int = 0
    resource: dict = field(default_factory=dict)
    scope: str = ""
    schema_url: str = ""
    encoded: list = field(default_factory=list, repr=False)  # attributes, not yet read

    @cached_property
    def attributes(self):
        pairs = [key_value(data) for data in self.encoded]
        known = dict(pairs)
        if len(known) != len(pairs):
            raise ValueError(f"an attribute twice: {pairs}")
        return known

    def __getitem__(self, key):
        return self.attributes.get(key)

    def __repr__(self):
        kind = {SERVER: "SERVER", CLIENT: "CLIENT"}.get(self.kind, self.kind)
        return (f"<{kind} {self.name!r} {self.seconds:.6f} s status={self.status} "
                f"parent={self.parent_id!r} {self.attributes}>")

    @property
    def seconds(self):
        return (self.end_ns - self.start_ns) / 1e9

    @property
    def operations(self):
        """How many commands or queries the span stands for: a batch stands for several."""
        return self.attributes.get("db.operation.batch.size", 1)


def fields(data):
    """(number, value) of each field of a message; lengths are checked."""
    at, end = 0, len(data)
    while at < end:
        tag, at = varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 2:
            size, at = varint(data, at)
            if at + size > end:
                raise ValueError("a field that is longer than its message")
            yield number, data[at:at + size]
            at += size
        elif wire == 0:
            value, at = varint(data, at)
            yield number, value
        elif wire == 1:
            yield number, struct.unpack_from("<Q", data, at)[0]
            at += 8
        elif wire == 5:
            yield number, struct.unpack_from("<I", data, at)[0]
            at += 4
        else:
            raise ValueError(f"wire type {wire}")


def varint(data, at):
    byte = data[at]
    if byte < 0x80:
        return byte, at + 1
    value, shift = 0, 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def any_value(data):
    for number, value in fields(data):
        if number == 1:
            return value.decode()
        if number == 2:
            return bool(value)
        if number == 3:
            return value - (1 << 64) if value >> 63 else value
        if number == 4:
            return struct.unpack("<d", struct.pack("<Q", value))[0]
        if number == 5:
            return [any_value(item) for tag, item in fields(value) if tag == 1]
    return None


def key_value(data):
    entry = dict(fields(data))
    return entry[1].decode(), any_value(entry[2])


def span(data):
    result = Span()
    encoded = result.encoded
    for number, value in fields(data):
        if number == 9:
            encoded.append(value)
        elif number in NUMBER_FIELDS:
            setattr(result, NUMBER_FIELDS[number], value)
        elif number in ID_FIELDS:
            setattr(result, ID_FIELDS[number], value.hex())
        elif number in TEXT_FIELDS:
            setattr(result, TEXT_FIELDS[number], value.decode())
        elif number == 15:
            status = dict(fields(value))
            result.status, result.status_message = status.get(3, 0), status.get(2, b"").decode()
        elif number not in (12, 14) or value:  # events and links dropped; SDKs say 0
            raise ValueError(f"field {number} in a span")
    return result


TEXT_FIELDS = {3: "trace_state", 5: "name"}
ID_FIELDS = {1: "trace_id", 2: "span_id", 4: "parent_id"}
NUMBER_FIELDS = {6: "kind", 7: "start_ns", 8: "end_ns", 10: "dropped_attributes", 16: "flags"}


def request(body):
    """The spans of an ExportTraceServiceRequest."""
    found = []
    for number, group in fields(body):
        if number != 1:
            raise ValueError(f"field {number} in a request")
        found += resource_spans(group)
    return found


def resource_spans(data):
    parts = list(fields(data))
    resource, found = {}, []
    for number, value in parts:
        if number == 1:
            resource = dict(key_value(item) for tag, item in fields(value) if tag == 1)
    for number, value in parts:
        if number == 2:
            found += scope_spans(value)
    for one in found:
        one.resource = resource
    return found


def scope_spans(data):
    scope, schema, found = "", "", []
    for number, value in fields(data):
        if number == 1:
            scope = dict(fields(value)).get(1, b"").decode()
        elif number == 2:
            found.append(span(value))
        elif number == 3:
            schema = value.decode()
    for one in found:
        one.scope, one.schema_url = scope, schema
    return found


# ---- picking ----------------------------------------------------------------------------


def select(spans, attributes, kind=None, pid=None):
    """The spans with these attributes (None: without it), of a kind, of a process."""
    return [span for span in spans
            if (kind is None or span.kind == kind)
            and (pid is None or span.resource.get("process.pid") == pid)
            and all(span[key] == value for key, value in attributes.items())]


def at_port(spans, port, kind=None):
    """The spans of calls to this port.  Looks for the encoded attribute, because there may be
    half a million spans."""
    value = b"\x18" + (bytes([port & 0x7F | 0x80, port >> 7]) if port < 1 << 14 else
                       bytes([port & 0x7F | 0x80, port >> 7 & 0x7F | 0x80, port >> 14]))
    wanted = b"\x0a\x0bserver.port\x12" + bytes([len(value)]) + value
    return [span for span in spans if wanted in span.encoded
            and (kind is None or span.kind == kind)]


def one(spans, what="span"):
    assert len(spans) == 1, f"{len(spans)} spans where 1 is expected: {what}: {spans}"
    return spans[0]


def http_pair(spans, port, path):
    """(server span, client span) of the one request for @path."""
    found = at_port(spans, port)
    return (one([s for s in found if s.kind == SERVER and s["url.path"] == path], f"server {path}"),
            one([s for s in found if s.kind == CLIENT and s["url.full"].endswith(path)],
                f"client {path}"))
