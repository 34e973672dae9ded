#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Do the bytes of our encoder say to the official package what they should?

    SPANLOOM_OTLP_DUMP=FILE .output/tests/test_otlp && check_proto.py FILE

test_otlp writes one span that uses every field.  Needs the package opentelemetry-proto
(.output/venv has it).  Exit status 0: all the same and nothing unknown; 1: not so.
"""

import sys
from pathlib import Path

from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otlp_sink import spans

EXPECTED = {
    "resource": {"service.name": "shop", "process.pid": 4711},
    "resource_schema": "https://opentelemetry.io/schemas/1.44.0",
    "scope": "spanloom/http1",
    "schema": "https://opentelemetry.io/schemas/1.44.0",
    "trace_id": "11" * 16,
    "span_id": "11" * 8,
    "parent_id": "33" * 8,
    "trace_state": "vendor=1,other=2",
    "flags": 0x303,
    "name": "GET /café",
    "kind": 2,
    "start_ns": 1700000000000000017,
    "end_ns": 1700000000000001017,
    "attributes": {
        "url.path": "/café",
        "nul": "a\0b",
        "http.response.status_code": 503,
        "zero": 0,
        "negative": -2**63,
        "yes": True,
        "no": False,
        "error.type": "503",
    },
    "dropped_attributes": 7,
    "status": 2,
    "status_message": "upstream is gone",
}


def unknown(message):
    """Fields that the official schema does not have."""
    found = [f"{message.DESCRIPTOR.full_name}: field {field.field_number}"
             for field in UnknownFieldSet(message)]
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for item in [value] if hasattr(value, "ListFields") else value:
            found += unknown(item)
    return found


def main():
    body = Path(sys.argv[1]).read_bytes()
    faults = unknown(ExportTraceServiceRequest.FromString(body))
    found = list(spans(body))
    if len(found) != 1:
        faults.append(f"{len(found)} spans, not 1")
    for span in found:
        faults += [f"{key}: {span.get(key)!r}, not {value!r}"
                   for key, value in EXPECTED.items() if span.get(key) != value]
        if not span["scope_version"]:
            faults.append("scope without a version")
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
