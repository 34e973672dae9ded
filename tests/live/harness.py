# SPDX-License-Identifier: Apache-2.0
"""What every live test stands on: temporary folders, free ports, processes that always end.

    harness.py MODULE FUNCTION     runs one test (tests/run calls it)

Whatever is started is handed to defer() and undone when the test ends, however it ends.
"""

import contextlib
import errno
import functools
import importlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SPANLOOM = ROOT / ".output" / "spanloom"
VENV = ROOT / ".output" / "venv"
FETCH_S = 100  # of what is fetched; a test fetches twice at most
SKIPPED = 77  # exit status, as in tests/run
PATIENCE = int(os.environ.get("SPANLOOM_TEST_PATIENCE", "1"))  # how many times slower this machine is

_cleanup = contextlib.ExitStack()
_evidence = []  # files to show when the test fails
_context = {}
_ports = set()  # that free_port() has given


class Skip(Exception):
    """This machine cannot run the test; the text says why."""


def takes(seconds):
    """Marks a test that may need longer than tests/run gives to each."""
    def mark(function):
        function.takes = seconds
        return function
    return mark


def defer(function, *args, **kwargs):
    _cleanup.callback(function, *args, **kwargs)


def close():
    """Undoes all that was deferred, the latest first."""
    _cleanup.close()


def once(function):
    """The function runs once in a test; later calls get the first result."""
    @functools.wraps(function)
    def cached():
        if function not in _context:
            _context[function] = function()
        return _context[function]
    return cached


# ---- what is fetched --------------------------------------------------------------------


def fetch(what, command, **kwargs):
    """Runs a command that needs a registry; where there is none, or it is too slow: Skip."""
    try:
        done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=FETCH_S * PATIENCE, check=False, **kwargs)
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise Skip(f"{what} cannot be had: {fault}") from None
    if done.returncode:
        last = (done.stdout.strip().splitlines() or ["no reason given"])[-1]
        raise Skip(f"{what} cannot be had: {last}")


def python_with(modules, *packages):
    """The interpreter of a virtual environment where @modules can be imported; they come with
    @packages, which are installed once."""
    python = VENV / "bin" / "python"
    if not python.exists():
        fetch("packages of Python", [sys.executable, "-m", "venv", VENV])
    if status_of(python, "-c", f"import {modules}")[0]:
        fetch("packages of Python", [python, "-m", "pip", "-q", "--disable-pip-version-check",
                                     "install", "--retries", "1", "--timeout", "15", *packages])
    return python


# ---- folders, ports, waiting ------------------------------------------------------------


@once
def folder():
    """A temporary folder of this test that every user may enter."""
    path = Path(tempfile.mkdtemp(prefix="spanloom-test-"))
    path.chmod(0o755)
    defer(shutil.rmtree, path, ignore_errors=True)
    return path


def cache():
    """A folder that the tests of one run share."""
    path = os.environ.get("SPANLOOM_TEST_CACHE")
    return Path(path) if path else folder()


def free_port():
    """A port that this test has not asked for yet and nobody uses, at any local address.  It is
    below those that the kernel gives to clients: none of them takes it meanwhile, or, where
    nobody is to listen, connects to itself."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(10000, max(lowest, 20000))
        if port not in _ports and not in_use(port):
            _ports.add(port)
            return port


def in_use(port):
    """Takes the port for a moment: whoever is about to listen there is to be asked for by
    listening(), or finds it in use."""
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        with socket.socket(family) as probe:
            try:
                probe.bind((address, port))
            except OSError as fault:
                if fault.errno == errno.EADDRINUSE:
                    return True
    return False


def wait_until(condition, what, seconds=30):
    """The first true value of @condition."""
    seconds *= PATIENCE
    limit = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < limit, f"waited {seconds} s in vain for {what}"
        time.sleep(0.02)


def at_best(attempt, tries=5):
    """Of what is measured by the clock: a machine that has other things to do spoils some of the
    @tries; what is too slow by itself fails in all.  attempt() fails as a test does."""
    for left in reversed(range(tries)):
        try:
            return attempt()
        except AssertionError as fault:
            if not left:
                raise
            print(f"once more: {fault}")
            time.sleep(0.5)


def listening(port, host="127.0.0.1"):
    try:
        socket.create_connection((host, port), 1).close()
    except OSError:
        return False
    return True


# ---- processes --------------------------------------------------------------------------


def spawn(command, log=None, **kwargs):
    """A process in a group of its own, ended with the test.  Its output goes to the file
    @log of the test's folder, which is shown when the test fails."""
    stdout = subprocess.DEVNULL
    if log:
        stdout = open(folder() / log, "ab")  # pylint: disable=consider-using-with
        _evidence.append(Path(stdout.name))
    kwargs.setdefault("stdin", subprocess.DEVNULL)
    kwargs.setdefault("stdout", stdout)
    kwargs.setdefault("stderr", subprocess.STDOUT if log else subprocess.DEVNULL)
    process = subprocess.Popen([str(word) for word in command], start_new_session=True, **kwargs)
    defer(end, process)
    return process


def end(process, sig=signal.SIGTERM, seconds=20):
    """Ends the process and all of its group; its exit status."""
    if process.poll() is None:
        process.send_signal(sig)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds * PATIENCE)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def run(*command, ok=(0,), timeout=60, **kwargs):
    """Runs to the end; the standard output.  @ok: exit statuses that are no failure."""
    kwargs.setdefault("stdin", subprocess.DEVNULL)
    done = subprocess.run([str(word) for word in command], text=True, timeout=timeout * PATIENCE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, **kwargs)
    if ok is not None and done.returncode not in ok:
        raise AssertionError(f"{' '.join(map(str, command))}: exit status {done.returncode}\n"
                             f"{done.stdout}{done.stderr}")
    return done.stdout


def status_of(*command, timeout=60, **kwargs):
    """(exit status, standard output, standard error)."""
    kwargs.setdefault("stdin", subprocess.DEVNULL)
    done = subprocess.run([str(word) for word in command], text=True, timeout=timeout * PATIENCE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, **kwargs)
    return done.returncode, done.stdout, done.stderr


def in_threads(function, count):
    """Runs function(index) in @count threads at once; the results in order."""
    results = [None] * count
    faults = []

    def body(index):
        try:
            results[index] = function(index)
        except BaseException as fault:  # pylint: disable=broad-except
            faults.append(fault)

    threads = [threading.Thread(target=body, args=(i,), daemon=True) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    return results


def equal(seen, expected, what):
    assert seen == expected, f"{what}: {seen!r}, expected {expected!r}"


def show_on_failure(path):
    _evidence.append(path)


def show_evidence(newest=None):
    """All files, or only the newest ones."""
    for path in _evidence[-newest if newest else None:]:
        if path.exists() and path.stat().st_size:
            lines = path.read_text(errors="replace").splitlines()
            print(f"---- {path.name}, last of {len(lines)} lines")
            print("\n".join(lines[-40:]))


def main():
    module, function = sys.argv[1:]
    sys.modules["harness"] = sys.modules["__main__"]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    status = 0
    try:
        getattr(importlib.import_module(module), function)()
    except Skip as reason:
        status = SKIPPED
        print(reason)
    except BaseException:  # pylint: disable=broad-except
        status = 1
        print(re.sub(r'(?m)^  File "[^"]*/tests/', '  File "tests/', traceback.format_exc()))
        show_evidence()
    finally:
        close()
    sys.exit(status)


if __name__ == "__main__":
    main()
