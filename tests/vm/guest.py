# SPDX-License-Identifier: Apache-2.0
"""Runs a command in a guest with a stock kernel and the root of this host.

    guest.py KERNEL COMMAND...

All is emulated (QEMU without KVM), 10 to 25 times slower than here.  The root is seen read-only,
with a tmpfs above: what is written there is gone with the guest.  A guest with another processor
has a root of its own (sysroot.py), with this project at its place, and there as .output what was
built for it.  Output and exit status are the command's; 124: it took too long, 125: the guest
died, 126: its kernel complained.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import complaints
import kernels
import standstill

TOO_LONG, DIED, COMPLAINED = 124, 125, 126
SHOWN = 60000  # characters of the console: all tasks of a guest that stands still
PARAMETERS = ("quiet loglevel=5 panic=-1 oops=panic reboot=t mitigations=off nokaslr audit=0 "
              "sysrq_always_enabled rcupdate.rcu_expedited=1")
PROJECT = kernels.HERE.parent.parent


def job(command, machine, version, folder, work):
    """The second part of the initramfs: what is to be done this time."""
    tree = work / "job"
    (tree / "job").mkdir(parents=True)
    variables = {name: value for name, value in os.environ.items()
                 if name in ("PATH", "HOME", "LANG") or name.startswith("SPANLOOM_")}
    variables["SPANLOOM_TEST_GUEST"] = "1"  # what is done to the kernel is done to nobody else
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    lines += [f"cd {shlex.quote(os.getcwd())}", f"exec {shlex.join(map(str, command))}", ""]
    (tree / "job/command").write_text("\n".join(lines))
    (tree / "job/modules").write_text(str(folder / "lib/modules" / version))
    if not machine.is_host:
        (tree / "job/project").write_text(f"{PROJECT}\n{PROJECT}/.output/{machine.arch}\n")
    for name in ("init", "stage2"):
        shutil.copy(kernels.HERE / name, tree / ("init" if name == "init" else "job/stage2"))
    (tree / "init").chmod(0o755)
    kernels.pack(tree, work / "job.cpio")
    (work / "initrd").write_bytes((folder / "base.cpio").read_bytes() +
                                  (work / "job.cpio").read_bytes())


def port(name, path):
    return ["-chardev", f"file,id={name},path={path}",
            "-device", f"virtserialport,chardev={name},name={name}"]


def share(name, path):
    return ["-fsdev", f"local,id={name},path={path},security_model=passthrough,multidevs=remap,"
                      "readonly=on",
            "-device", f"virtio-9p-pci,fsdev={name},mount_tag={name}"]


def qemu(machine, folder, work, memory, processors, exact):
    # exact: each instruction takes a nanosecond of the guest, and waiting takes no time here.
    clock = ["-icount", "shift=0,sleep=off"] if exact else []
    return [machine.command, *machine.options, *clock,
            "-accel", f"tcg,thread={'single' if exact else 'multi'}",
            "-smp", str(processors), "-m", str(memory),
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-kernel", folder / "vmlinux", "-initrd", work / "initrd",
            "-append", f"{machine.parameters} {PARAMETERS}{' norandmaps' if exact else ''}",
            *standstill.console(work),
            *share("root", machine.root()), *([] if machine.is_host else share("project", PROJECT)),
            "-device", "virtio-serial-pci",
            *port("out", work / "out"), *port("err", work / "err"),
            *port("status", work / "status")]


def end(emulator, work, timeout):
    """(it took too long, what QEMU said).  A guest that is late is asked what it does."""
    try:
        return False, emulator.communicate(timeout=timeout)[1].decode(errors="replace")
    except subprocess.TimeoutExpired:
        return True, standstill.ask(work)
    finally:
        emulator.kill()


def run(kernel, command, timeout=300, memory=2048, processors=1, exact=False):
    """(exit status, standard output, standard error).  @exact: time in the guest is the number of
    instructions that it has executed."""
    machine = kernels.KERNELS[kernel][0]
    folder, version = kernels.prepare(kernel)
    with tempfile.TemporaryDirectory(prefix="spanloom-guest-") as name:
        work = Path(name)
        job(command, machine, version, folder, work)
        for file in ("out", "err", "status", "console"):
            (work / file).touch()
        with subprocess.Popen(qemu(machine, folder, work, memory, processors, exact),
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE) as emulator:
            late, said = end(emulator, work, timeout)
        out, err, status, console = ((work / file).read_text(errors="replace")
                                     for file in ("out", "err", "status", "console"))
    if found := complaints.find(console):
        return COMPLAINED, out, f"{err}\nthe kernel complained:\n{found}\n"
    if status.strip():
        return int(status), out, err
    if late:
        return TOO_LONG, out, f"{err}\nno end after {timeout} s {said}\n{console[-SHOWN:]}\n"
    return DIED, out, f"{err}\nthe guest died: {said}\n{console[-SHOWN:]}\n"


def main():
    if len(sys.argv) < 3 or sys.argv[1] not in kernels.KERNELS:
        sys.exit(f"usage: guest.py {'|'.join(kernels.KERNELS)} COMMAND...")
    try:
        status, out, err = run(sys.argv[1], sys.argv[2:])
    except kernels.Missing as reason:
        status, out, err = DIED, "", f"guest: {reason}\n"
    sys.stdout.write(out)
    sys.stderr.write(err)
    sys.exit(status)


if __name__ == "__main__":
    main()
