# SPDX-License-Identifier: Apache-2.0
"""The command line as a user meets it: what it prints, how it ends, what it refuses."""

import json
import os
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path

import kernel
import servers
from agent import Agent, Sink, start
from harness import (PATIENCE, SPANLOOM, Skip, at_best, defer, end, equal, folder, run, spawn,
                     status_of, wait_until)

NOBODY = {"user": 65534, "group": 65534, "extra_groups": []}


def test_version_and_help():
    status, out, _ = status_of(SPANLOOM, "--version")
    equal(status, 0, "exit status of --version")
    assert out.startswith("spanloom ") and out[9].isdigit(), out
    status, out, _ = status_of(SPANLOOM, "help")
    equal(status, 0, "exit status of help")
    for word in ("run", "probes", "check"):
        assert word in out, f"{word} in the help"
    status, out, _ = status_of(SPANLOOM, "run", "--help")
    equal(status, 0, "exit status of run --help")
    for word in ("--exporter", "--endpoint", "--pid", "--exe", "--port", "--capture-bytes"):
        assert word in out, f"{word} in the help of run"
    for line in out.splitlines():
        assert len(line) < 80 and (line[:8] != "      --" or not line[35:] or line[34] == " "), line


def test_bad_options_are_named():
    for options, named in ((("run", "--capture-bytes", "7"), "7"),
                           (("run", "--port", "70000"), "70000"),
                           (("run", "--port", "http"), "http"),
                           (("run", "--pid", "-4"), "-4"),
                           (("run", "--exporter", "carrier-pigeon"), "carrier-pigeon"),
                           (("run", "--log-level", "loud"), "loud"),
                           (("run", "--duration", "soon"), "soon"),
                           (("run", "--endpoint", "ftp://x"), "ftp://x"),
                           (("run", "--no-such-option"), "no-such-option"),
                           (("run", "stray"), "stray"),
                           (("wander",), "wander")):
        status, _, err = status_of(SPANLOOM, *options)
        assert status not in (0, None) and status > 0, f"{options}: exit status {status}"
        assert named in err, f"{options}: {err!r} does not name {named}"


def test_processes_that_are_not_there():
    """A number that ends before the test does not come again so soon."""
    gone = spawn(["true"])
    gone.wait()
    other = spawn(["sleep", "600"])
    agent_options = ("run", "--exporter", "none", "--duration", "1ms", "--pid")
    for pids, named in ((gone.pid, gone.pid), (f"{other.pid},{gone.pid}", gone.pid)):
        status, _, err = status_of(SPANLOOM, *agent_options, pids)
        equal(status, 1, f"exit status: {err}")
        assert f"--pid {named}: " in err and len(err.strip().splitlines()) == 1, err
    thread = threading.Thread(target=time.sleep, args=(30,), daemon=True)
    thread.start()
    status, _, err = status_of(SPANLOOM, *agent_options, thread.native_id)
    equal(status, 1, f"exit status: {err}")
    assert f"--pid {thread.native_id}: " in err and "thread" in err, err


def test_not_root():
    """One line: cause, consequence, remedy.  The binary may be where only root can read."""
    binary = folder() / "spanloom"
    run("cp", SPANLOOM, binary)
    binary.chmod(0o755)
    status, _, err = status_of(binary, "run", cwd="/", **NOBODY)
    equal(status, 1, "exit status")
    equal(len(err.strip().splitlines()), 1, f"lines: {err}")
    assert "root" in err or "CAP_" in err or "sudo" in err, err
    status, out, err = status_of(binary, "check", cwd="/", **NOBODY)
    equal(status, 1, f"exit status of check: {out}{err}")


def check_without(*command):
    """What "check" says of header injection, run by @command."""
    _, out, err = status_of(*command, SPANLOOM, "check", "--json")
    assert out, err
    found = {feature["name"]: feature for feature in json.loads(out)["features"]}
    return found["header injection"], found["TCP option"]


def test_check_names_the_capability():
    """Without CAP_NET_ADMIN all goes well but what is sent to other hosts."""
    for feature in check_without("setpriv", "--bounding-set=-net_admin",
                                 "--inh-caps=-net_admin"):
        equal(feature["on"], False, f"{feature}")
        assert "CAP_NET_ADMIN" in feature["remedy"], feature


def removed(group):
    """Who was in it may be on its way out."""
    try:
        group.rmdir()
    except OSError:
        return not group.exists()
    return True


def make_group():
    """(a control group of version 2, where such groups are mounted)."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    roots = [mount[1] for mount in mounts if mount[2] == "cgroup2"]
    group = Path(roots[0]) / f"spanloom_{os.getpid()}" if roots else None
    try:
        group.mkdir()
    except (AttributeError, OSError) as fault:
        raise Skip(f"no cgroup v2 to make a group in: {fault}") from None
    defer(wait_until, lambda: removed(group), "the group to be empty")
    return group, roots


def test_check_in_a_cgroup_namespace():
    """In a container's own cgroups no other program would get a header."""
    group, roots = make_group()
    script = (f"echo $$ > {group}/cgroup.procs && exec unshare --cgroup --mount sh -c "
              f"'umount -l {' '.join(roots)}; mount -t cgroup2 none {folder()} && exec \"$@\"' "
              "sh \"$@\"")
    for feature in check_without("sh", "-c", script, "sh"):
        equal(feature["on"], False, f"{feature}")
        assert "cgroup" in feature["detail"] and "host" in feature["remedy"], feature


def test_check_where_one_group_is_mounted_by_itself():
    """It is in none of the others' way, though it comes first; nor is what is mounted over."""
    group, roots = make_group()
    one, hidden, every = (folder() / name for name in ("one", "hidden", "every"))
    for path in (one, hidden, every):
        path.mkdir()
    script = (f"mount --bind {group} {one} && umount -l {' '.join(roots)}; "
              f"mount -t cgroup2 none {hidden} && mount -t tmpfs none {hidden} && "
              f"mount -t cgroup2 none {every} && exec \"$@\"")
    expected = [feature["detail"] for feature in check_without("env")]
    found = [feature["detail"] for feature in
             check_without("unshare", "--mount", "sh", "-c", script, "sh")]
    equal(found, expected, "what check says")


def test_credentials_are_not_logged():
    agent = Agent("--endpoint", "http://bob:hunter2@127.0.0.1:9/v1/traces?token=swordfish")
    said = agent.stderr.read_text()
    assert "http://127.0.0.1:9/v1/traces" in said, said
    equal(end(agent.process, signal.SIGINT), 0, "exit status")
    said = agent.stderr.read_text()
    assert "hunter2" not in said and "swordfish" not in said, said


class Started:  # pylint: disable=too-few-public-methods
    """By a command, which says what becomes of SIGHUP: these tests may run with nohup themselves."""

    def __init__(self, *words):
        self.words = words

    def command(self, *command):
        return [*self.words, *command]


def test_ends_with_its_terminal():
    """SIGHUP ends it as Ctrl-C does, unless it was started to outlive its terminal."""
    Agent(within=Started("env", "--default-signal=HUP")).stop(signal.SIGHUP)
    agent = Agent(within=Started("nohup"))
    agent.process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    equal(agent.process.poll(), None, "exit status after SIGHUP with nohup")
    agent.stop()


def signalled(sig, programs, delay=0):
    """What it says when it gets the signal @delay after it holds so many programs, or more."""
    def holds():
        held = kernel.held_by(process.pid)
        return sum(kind == "prog" for kind, _ in held) >= programs

    err = folder() / "starting.err"
    with open(err, "wb") as stderr:
        process = spawn(["env", "--default-signal=HUP", SPANLOOM, "run", "--exporter", "none"],
                        stderr=stderr)
    wait_until(holds, f"{programs} programs")
    time.sleep(delay)
    process.send_signal(sig)
    equal(process.wait(60 * PATIENCE), 0, f"exit status of {sig}: {err.read_text()}")
    return err.read_text()


def test_a_signal_while_it_starts():
    """Whatever it is about to do, it ends in order; what it still loads is not attached."""
    def attempt(sig, programs):
        said = signalled(sig, programs)
        assert "ended by a signal before anything" in said and "run: tracing" not in said, said
    for sig, programs in ((signal.SIGINT, 1), (signal.SIGHUP, 4)):  # 4: it loads those to attach
        at_best(partial(attempt, sig, programs))
    for delay in (0.2, 0.8):
        signalled(signal.SIGTERM, 1, delay)


def test_a_signal_hides_no_fault():
    """One that has come before: what could not go on anyway says so, and fails."""
    binary = folder() / "spanloom"
    run("cp", SPANLOOM, binary)
    binary.chmod(0o755)
    script = ("import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT]); "
              "os.kill(os.getpid(), signal.SIGINT); os.execvp(sys.argv[1], sys.argv[1:])")
    gone = spawn(["true"])
    gone.wait()
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    for user, options, end_status, said in ((nobody, (), 1, "error run: "),
                                            ((), ("--pid", gone.pid), 1, f"--pid {gone.pid}: "),
                                            ((), (), 0, "ended by a signal")):
        status, _, err = status_of(sys.executable, "-c", script, *user, binary, "run",
                                   "--exporter", "none", *options)
        equal((status, said in err), (end_status, True), f"the end of {user} {options}: {err}")


def test_second_instance_says_so():
    agent = Agent()
    status, _, err = status_of(SPANLOOM, "run", "--exporter", "none")
    equal(status, 1, "exit status of the second")
    assert "another spanloom" in err, err
    assert str(agent.pid) in err, f"{err!r} does not name {agent.pid}"
    agent.stop()


def test_starts_again_after_a_kill():
    agent = Agent()
    agent.process.kill()
    agent.process.wait()
    Agent().stop()


def test_check():
    status, out, err = status_of(SPANLOOM, "check")
    equal(status, 0, f"exit status: {out}{err}")
    for word in ("kernel", "BTF", "lockdown"):
        assert word.lower() in out.lower(), f"{word} in {out}"
    status, out, _ = status_of(SPANLOOM, "check", "--json")
    equal(status, 0, "exit status of --json")
    assert os.uname().release in json.dumps(json.loads(out)), out


def programs(agent):
    """What "probes" says of the programs of this one, of all that run on this machine."""
    mine = {number for kind, number in kernel.held_by(agent.pid) if kind == "prog"}
    return [program for program in json.loads(run(SPANLOOM, "probes", "--json"))["programs"]
            if program["id"] in mine]


def test_probes_while_it_runs():
    redis = servers.Redis()
    agent = Agent()
    for _ in range(20):
        redis.cli("PING")
    table = run(SPANLOOM, "probes")
    listed = programs(agent)
    assert len(listed) >= 2, listed
    for program in listed:
        assert program["name"] in table, f"{program['name']} in the table"
    assert any("sock_recv_length" in json.dumps(program) or "recvmsg" in json.dumps(program)
               for program in listed), listed
    bare = [program["name"] for program in listed if not program["attached"]]
    equal([name for name in bare if not name.startswith(("go_", "python_"))], [],
          "programs that are attached to nothing")
    waiting = [line.split() for line in table.splitlines() if "(no program to watch)" in line]
    assert len(waiting) >= len(bare), table
    for program in listed:
        assert program["attached"] or [program["name"], program["program_type"]] in \
            [row[:2] for row in waiting], f"{program} in {table}"
    agent.stop()


def test_probes_while_it_ends():
    """It sends what is left, and sees nothing any more; likewise before it has attached all."""
    nginx, sink = servers.Nginx(), Sink()
    agent = Agent("--port", str(nginx.port), sink=sink)
    sink.delay = 4
    run("curl", "-s", nginx.url + "/ok")
    agent.process.send_signal(signal.SIGINT)
    wait_until(lambda: status_of(SPANLOOM, "probes")[1].strip().endswith(
        "attached: spanloom is starting or ending"), "what it had to detach")  # not all probes
    equal(json.loads(status_of(SPANLOOM, "probes", "--json")[1])["settled"], False, "settled")
    sink.delay = 0
    equal(agent.process.wait(60 * PATIENCE), 0, "exit status of spanloom")


def test_probes_names_maps_and_iterators():
    """Where there is no link, and where a link is to no function."""
    agent = Agent("--inject", "on")
    found = {program["name"]: [place["target"] for place in program["attached"]]
             for program in programs(agent)}
    equal(found["inject_message"], ["sends of the map sockets"], "inject_message")
    equal(found["inject_join"], ["task_file"], "inject_join")
    agent.stop()


def test_probes_name_functions():
    """Of shared libraries, also when the process by which they were found has ended."""
    script = "import asyncio, time; print(1, flush=True); time.sleep(600)"
    first = spawn([sys.executable, "-c", script])
    spawn([sys.executable, "-c", script])
    agent = Agent()
    wait_until(lambda: "python_copies" in run(SPANLOOM, "probes"), "probes")
    wait_until(lambda: ":PyContext_CopyCurrent" in run(SPANLOOM, "probes"), "the function's name")
    end(first, signal.SIGKILL)
    table = run(SPANLOOM, "probes")
    assert ":PyContext_CopyCurrent" in table and "map_files" not in table, table
    agent.stop()


def test_probes_when_nothing_runs():
    status, out, err = status_of(SPANLOOM, "probes")
    assert status in (0, 1), (status, out, err)
    assert "no" in (out + err).lower(), (out, err)


def test_console_json():
    nginx = servers.Nginx()
    agent = Agent(console=True)
    run("curl", "-s", nginx.url + "/users/42")
    agent.stop()
    lines = [json.loads(line) for line in agent.stdout.read_text().splitlines()]
    found = [line for line in lines if "/users/42" in json.dumps(line)]
    equal(len(found), 2, "lines of the request")


def test_console_tree():
    nginx = servers.Nginx()
    out, err = folder() / "console", folder() / "console.err"
    process = start([SPANLOOM, "run", "--exporter", "console", "--port", nginx.port], None, out,
                    err)
    run("curl", "-s", nginx.url + "/users/42")
    equal(end(process, signal.SIGINT), 0, "exit status")
    text = out.read_text()
    assert "GET /users/{id}" in text, text
    assert "\x1b" not in text, "escape sequences in a file"


def test_disabled_by_the_environment():
    status, _, err = status_of(SPANLOOM, "run", "--duration", "1",
                               env=dict(os.environ, OTEL_SDK_DISABLED="true"))
    equal(status, 0, f"exit status: {err}")
    assert "OTEL_SDK_DISABLED" in err, err
