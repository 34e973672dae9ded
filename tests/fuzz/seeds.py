# SPDX-License-Identifier: Apache-2.0
"""Seeds of the fuzz targets, from what the repository has: the protocol cases, the texts of the
unit tests, and small programs that are built for it.

    python3 tests/fuzz/seeds.py DIRECTORY       one folder a target
"""

import hashlib
import re
import struct
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CASES = ROOT / "tests" / "protocols"
UNIT = ROOT / "tests" / "unit"

SEND, RECV, SKIP_SENT, SKIP_RECEIVED, EOF, RESET, CLOSE, TICK = range(8)  # of flow.c
DATA, CONN, CLOSE_RECORD, CONTEXT, HEAD, TICK_RECORD = 0, 6, 8, 10, 11, 14  # of pipeline.c
REFS = {"thread": 1, "peer": 8}  # of bpf/event.h
SERVER, UNKNOWN, OLD = 1, 2, 4
ENDS = {"eof": EOF, "reset": RESET, "close": CLOSE}
STEPS = {"send": SEND, "recv": RECV}
ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "0": "\0"}
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)
RECORD_MAX = 0xFFFF


def unescape(text):
    def one(match):
        letter = match[1]
        if letter[0] == "x" and len(letter) == 3:
            return chr(int(letter[1:], 16))
        return ESCAPES.get(letter, letter[-1])

    return ESCAPE.sub(one, text).encode("latin-1", "replace")


# ---- protocol cases ---------------------------------------------------------------------


class Case:
    """A .case file: its connections, and what happens on them, in its order."""

    def __init__(self, path):
        self.conns = {}  # id -> (role, whether it is fresh)
        self.steps = []  # (id, verb, bytes or number)
        self.refs = {}  # index of a step -> (kind, id)
        for line in path.read_text(encoding="latin-1").splitlines():
            words = line.split()
            if words:
                self.read(words, line)

    def read(self, words, line):
        verb = words[0]
        if verb == "conn":
            self.conns[words[1]] = (words[2], "fresh" in words)
        elif verb in STEPS:
            self.steps.append((words[1], verb, unescape(STRING.search(line)[1])))
        elif verb == "ref":
            self.refs[len(self.steps)] = (REFS[words[1]], words[2])
        elif verb == "skip":
            self.steps.append((words[2], f"skip {words[1]}", int(words[4])))
        elif verb in ENDS:
            self.steps.append((words[1], verb, 0))

    def of(self, conn):
        return [(verb, what) for owner, verb, what in self.steps if owner == conn]


def flow_script(role, fresh, steps):
    flags = {"server": SERVER, "unknown": UNKNOWN}.get(role, 0) | (0 if fresh else OLD)
    out = bytes([flags, 3, 5, 64, 1])
    for verb, what in steps:
        if verb in STEPS:
            out += struct.pack(">BH", STEPS[verb] | 1 << 3, len(what[:RECORD_MAX])) + what[:RECORD_MAX]
        elif verb.startswith("skip"):
            op = SKIP_SENT if verb.endswith("send") else SKIP_RECEIVED
            out += struct.pack(">BH", op | 1 << 3, min(what, RECORD_MAX))
        else:
            out += bytes([ENDS[verb] | 1 << 3])
    return out


def parser_pieces(role, steps):
    out = b""
    for verb, what in steps:
        if verb not in STEPS:
            continue
        to_client = (verb == "recv") == (role != "server")
        out += struct.pack(">BH", to_client, len(what[:RECORD_MAX])) + what[:RECORD_MAX]
    return out


def pipeline_records(case, proto):
    numbers = {conn: index + 1 for index, conn in enumerate(case.conns)}
    roles = {"client": 1, "server": 2}
    out = bytes([0, proto])
    for conn, (role, fresh) in case.conns.items():
        body = bytearray(280 - 24)
        body[52:54] = struct.pack("<H", 2)  # AF_INET
        body[58] = roles.get(role, 0)
        body[59] = fresh
        out += bytes([CONN | numbers[conn] << 4 & 0xF0, 1]) + body
    last = {}
    for index, (conn, verb, what) in enumerate(case.steps):
        number = numbers.get(conn, 0) << 4 & 0xF0
        if verb in STEPS:
            turn = last.get(conn) != verb
            last[conn] = verb
            kind, other = case.refs.get(index, (0, ""))
            ref = kind << 2 | (case.conns.get(other, ("client",))[0] == "server")
            flags = 0x10 | (0x21 if turn else 0)
            if verb == "send" and turn and roles.get(case.conns.get(conn, ("",))[0]) == 1:
                out += bytes([HEAD | number, 0]) + bytes(8) + bytes([CONTEXT | number, 0])
                out += bytes(8) + b"\x12" * 16 + b"\x34" * 8 + b"\x56" * 8 + bytes([1, kind, 0, 0])
                out += bytes(4) + struct.pack("<QQ", numbers.get(other, 0), ref & 1)
            for at in range(0, len(what), 4096):
                piece = what[at:at + 4096]
                out += struct.pack(">BBBHBBBBH", DATA | number, 1, STEPS[verb], flags, 0, ref,
                                   numbers.get(other, 0), 0, len(piece)) + piece
        elif verb in ENDS:
            kind = {"eof": 1, "reset": 2, "close": 3}[verb]
            out += bytes([CLOSE_RECORD | number, 1]) + struct.pack("<Ii", kind, 0)
    return out + bytes([TICK_RECORD, 255])


def protocols():
    names = re.findall(r"^PROTOCOL\(\w+, (\w+),", (ROOT / "bpf/protocols.def").read_text(), re.MULTILINE)
    return {name: index + 1 for index, name in enumerate(names)}


def case_seeds():
    """(target, bytes) of each protocol case."""
    for name, proto in protocols().items():
        for path in sorted((CASES / name).glob("*.case")):
            case = Case(path)
            yield "pipeline", pipeline_records(case, proto)
            for conn, (role, fresh) in case.conns.items():
                steps = case.of(conn)
                yield f"{name}-flow", flow_script(role, fresh, steps)
                yield name, parser_pieces(role, steps)
                for _, what in steps:
                    if isinstance(what, bytes):
                        yield from stream_seeds(name, what)


def stream_seeds(name, what):
    yield "classifiers", struct.pack(">HB", min(len(what), 0xFFFF), 1) + what[:64]
    if name == "postgres":
        for text in re.findall(rb"[QP][^A-Za-z]{4}[^\0]*?([A-Za-z][^\0]{3,})\0", what):
            yield "sql", b"\0" + text
    if name != "http1":
        return
    head, _, body = what.partition(b"\r\n\r\n")
    yield "head", b"\3\5\x40\1" + what
    if b"chunked" in head and body:
        yield "chunks", b"\2\3\1" + body
    target = re.match(rb"[A-Z]+ (\S+) HTTP", what)
    if target:
        yield "urls", b"\0" + target[1] + b"\nhost:80"


# ---- texts of the unit tests ------------------------------------------------------------


def literals(name):
    """The strings of a C file; adjacent ones are one."""
    text = re.sub(r'"\s*\n?\s*"', "", (UNIT / f"{name}.c").read_text())
    return [unescape(string) for string in STRING.findall(text)]


UNIT_TEXTS = {  # target -> what goes before each text, unit tests
    "sql": (b"\0", ["test_sql"]),
    "urls": (b"\0", ["test_url", "test_route"]),
    "head": (b"\0", ["test_head"]),
    "chunks": (b"\0", ["test_chunk"]),
    "traces": (b"", ["test_traceparent"]),
    "options": (b"", ["test_options"]),
    "answer": (b"", ["test_otlp", "test_utf8"]),
    "collector": (b"", ["test_http_answers", "test_http_exporter"]),
    "proc": (b"", ["test_cgroup", "test_process", "test_cpython", "test_utf8"]),
    "cpython": (b"", ["test_cpython"]),
    "golang": (b"", ["test_golang"]),
}


def unit_seeds():
    for target, (before, names) in UNIT_TEXTS.items():
        for name in names:
            for text in literals(name):
                yield target, before + text
                if target == "traces":
                    yield target, b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01\n" + text
                if target == "options":
                    yield target, b"--log-level=debug\n\n" + text


OPTIONS = [
    b"--exporter=console,otlp\n--endpoint=http://[::1]:4318/x\n--pid=1,2\n--port=80,443\n"
    b"--capture-bytes=4K\n--ring-size=8M\n--duration=5m\n\nOTEL_SERVICE_NAME=a\n"
    b"OTEL_RESOURCE_ATTRIBUTES=a=b,c=%20d\nOTEL_TRACES_SAMPLER=parentbased_traceidratio\n"
    b"OTEL_TRACES_SAMPLER_ARG=0.25\nOTEL_EXPORTER_OTLP_HEADERS=api-key=s%0Ax,b=c\n",
    b"--routes=/a/{b},/c\n--ignore-path=/h*\n--links=likely\n--sdk=ignore\n--python=off\n"
    b"--inject=on\n--inject-exclude=nginx\n--tcp-option=on\n--hooks=tp\n\n"
    b"OTEL_EXPORTER_OTLP_ENDPOINT=https://c:4318/p?q\nOTEL_BSP_MAX_QUEUE_SIZE=10\n"
    b"OTEL_BSP_MAX_EXPORT_BATCH_SIZE=20\nOTEL_EXPORTER_OTLP_PROTOCOL=grpc\n",
]

ANSWERS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n\x0a\x02\x08\x01\r\n0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\x0a\x02\x08\x01",
    b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy",
    b"HTTP/1.1 429 x\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 400 Bad\r\nContent-Encoding: gzip\r\n\r\nno \x1b[31m",
    b"HTTP/1.0 301 Moved\r\nLocation: http://127.0.0.1/\r\n\r\n",
    b"HTTP/2 200\r\n\r\n",
    b"",
]


def process_seeds():
    """A process as /proc shows it: this one."""
    proc = Path("/proc/self")
    texts = [(proc / name).read_bytes() for name in ("stat", "status", "cgroup")]
    environ = b"PATH=/bin\0OTEL_SERVICE_NAME=shop\0OTEL_RESOURCE_ATTRIBUTES=a=b,c=%41\0"
    group = b"0::/kubepods/burstable/pod11111111-2222-3333-4444-555555555555/" + b"0a" * 32 + b"\n"
    for cgroup in (texts[2], group):
        parts = [texts[0], texts[1], cgroup, environ, b"\x7fELF"]
        yield "process", b"".join(struct.pack(">H", len(part)) + part for part in parts)
    yield "proc", texts[0]
    for line in (proc / "maps").read_bytes().splitlines()[:4]:
        yield "proc", line + b"\n"


# ---- programs ---------------------------------------------------------------------------

GO_TYPES = {  # the structures whose fields golang_dwarf.c looks for
    "runtime.g": ["goid", "parentGoid"],
    "runtime.p": ["goidcache"],
    "net/http.persistConn": ["conn", "isClientConn"],
    "internal/poll.FD": ["Sysfd"],
    "net.netFD": ["family"],
    "net/http.Request": ["ctx"],
}
GO_FUNCTIONS = ["_rt0_amd64_linux", "net/http.serverHandler.ServeHTTP",
                "net/http.(*persistConn).roundTrip", "database/sql.(*DB).queryDC"]
FUNCTION_BYTES = 64
PYTHON_SYMBOLS = ["PyContext_Type", "PyContext_New", "PyContext_Copy", "PyContext_CopyCurrent", "_PyRuntime"]


def go_table():
    """A .gopclntab with GO_FUNCTIONS, one behind the other."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in GO_FUNCTIONS)
    names += bytes(-len(names) % 8)
    count, head = len(GO_FUNCTIONS), 72
    entries, facts = b"", b""
    at = 1
    for index, name in enumerate(GO_FUNCTIONS):
        entries += struct.pack("<II", index * FUNCTION_BYTES, 8 * count + 4 + 8 * index)
        facts += struct.pack("<II", index * FUNCTION_BYTES, at)
        at += len(name) + 1
    end = head + len(names)
    start = struct.pack("<IBBBBQQQQQQQQ", 0xFFFFFFF1, 0, 0, 1, 8, count, 0, 0, head, end, end, end, end)
    return start + names + entries + bytes(4) + facts


def c_bytes(data):
    return ",".join(str(byte) for byte in data)


def go_source(version):
    info = b"\xff Go buildinf:\x08\x02" + bytes(16) + bytes([len(version)]) + version
    lines = [f'const unsigned char info[] __attribute__((section(".go.buildinfo"))) = {{{c_bytes(info)}}};',
             f'const unsigned char table[] __attribute__((section(".gopclntab"))) = {{{c_bytes(go_table())}}};']
    for index, fields in enumerate(GO_TYPES.values()):
        members = "".join(f"long {field};" for field in fields)
        lines.append(f"struct type_{index:030d} {{ long first; {members} }} value_{index};")
    jumps = r"\n.balign 64\n.byte 0x49,0x3b,0x66,0x10,0x76,0\n" * (len(GO_FUNCTIONS) - 1)
    lines.append(rf'asm(".text\n.globl _start\n_start: nop\n{jumps}.balign 64\n");')
    return "\n".join(lines)


def compiled(source, *flags):
    """What the C compiler makes of it; None without one that can."""
    out = Path(sys.argv[1]) / "program"
    command = ["cc", "-nostdlib", "-O1", "-fno-asynchronous-unwind-tables", "-Wl,--build-id=none",
               "-Wl,-z,max-page-size=4096", *flags, "-x", "c", "-", "-o", str(out)]
    if subprocess.run(command, input=source.encode(), check=False).returncode:
        return None
    data = out.read_bytes()
    out.unlink()
    return data


def renamed(data):
    for index, name in enumerate(GO_TYPES):
        old = f"type_{index:030d}".encode()
        data = data.replace(old, name.encode() + bytes(len(old) - len(name)))
    return data


def program_seeds():
    yield "pclntab", go_table()
    for version in (b"go1.26.8", b"go1.99.1"):
        data = compiled(go_source(version), "-static", "-g", "-gz=none", "-Wl,-e,_start")
        if data:
            yield "golang", renamed(data)
            yield "functions", renamed(data)
    data = compiled(go_source(b"go1.99.1"), "-static", "-g", "-gz=zlib", "-Wl,-e,_start")
    if data:
        yield "golang", data
    symbols = "\n".join(f"long {name}[64] = {{ 1, 2 }};" for name in PYTHON_SYMBOLS)
    uvloop = "\n".join(f"void __pyx_f_6uvloop_4loop___uv_stream_{name}on_read(void) {{ }}"
                       for name in ("", "buffered_"))
    data = compiled(f"{symbols}\n{uvloop}\n", "-shared", "-fPIC")
    if data:
        yield "cpython", data
        yield "functions", data
    name = b"set_result\0" + bytes(5)
    yield "cpython", name + struct.pack("<QQQQ", 0x1000, 0x1010, 1, 0) + b"\xf3\x0f\x1e\xfa\x41\x57"


# ---- main -------------------------------------------------------------------------------


def all_seeds():
    yield from case_seeds()
    yield from unit_seeds()
    yield from process_seeds()
    yield from program_seeds()
    yield from (("options", text) for text in OPTIONS)
    yield from (("collector", text) for text in ANSWERS)


def write(directory):
    for target, data in all_seeds():
        folder = directory / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / hashlib.sha1(data).hexdigest()[:16]).write_bytes(data)


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    write(Path(sys.argv[1]))
