"""QEMU's command line, compared with a stored one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from lab import plan as planning
from lab.machine import qemu_command
from lab.machine.qemu_command import Memory
from lab.model import Clock, FreeRtosApp, GuestSpec, HypervisorSpec, Lab, XenTrace

LAB = Lab(
    "one", HypervisorSpec("stock"), guests=(GuestSpec("hello", FreeRtosApp(Path("/src/hello"))),)
)

GOLDEN = [
    "qemu-system-arm",
    "-name", "guest=xenlab-0123,debug-threads=on",
    "-machine", "virt,virtualization=on,highmem=off",
    "-cpu", "cortex-a15", "-m", "1040M", "-smp", "1", "-nic", "none", "-display", "none",
    "-no-reboot", "-global", "virtio-mmio.force-legacy=false",
    "-global", "virtio-mmio.ioeventfd=off",
    "-object",
    '{"qom-type": "memory-backend-file", "id": "ram", "size": 1073741824, '
    '"mem-path": "/lab/ram", "share": true}',
    "-object",
    '{"qom-type": "memory-backend-file", "id": "window", "size": 16777216, '
    '"mem-path": "/lab/live/window", "share": true}',
    "-numa", "node,memdev=ram", "-numa", "node,memdev=window", "-nodefaults", "-no-user-config",
    "-kernel", "/lab/images/xen", "-dtb", "/lab/images/devicetree",
    "-device",
    '{"driver": "loader", "file": "/lab/images/kernel", "addr": 1224736768, "force-raw": true}',
    "-device",
    '{"driver": "loader", "file": "/lab/images/initramfs", "addr": 1275068416, '
    '"force-raw": true}',
    "-chardev", "pipe,id=xen,path=/lab/live/xen,logfile=/lab/console/xen.log,logappend=on",
    "-serial", "chardev:xen",
    "-chardev", "pipe,id=dom0,path=/lab/live/dom0,logfile=/lab/console/dom0.log,logappend=on",
    "-serial", "chardev:dom0",
    "-device", "virtio-serial-device,bus=virtio-mmio-bus.0,max_ports=31",
    "-chardev", "socket,id=agent,path=/lab/live/agent.sock,server=on,wait=off",
    "-device",
    '{"driver": "virtserialport", "chardev": "agent", "name": "org.qemu.guest_agent.0"}',
    "-chardev", "pipe,id=domains,path=/lab/live/domains",
    "-device", '{"driver": "virtserialport", "chardev": "domains", "name": "domains"}',
    "-chardev", "pipe,id=times,path=/lab/live/times,logfile=/lab/console/times,logappend=on",
    "-device", '{"driver": "virtserialport", "chardev": "times", "name": "times"}',
    "-chardev", "pipe,id=guest-hello,path=/lab/live/guest-hello,"
    "logfile=/lab/console/hello.log,logappend=on",
    "-device",
    '{"driver": "virtserialport", "chardev": "guest-hello", "name": "console.hello"}',
    "-chardev", "socket,id=qmp,path=/lab/live/qmp.sock,server=on,wait=off",
    "-mon", "chardev=qmp,mode=control",
    "-gdb", "unix:path=/lab/live/gdb.sock,server=on,wait=off",
    "-sandbox",
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
    "-S",
]  # fmt: skip


def test_the_command_line_is_golden() -> None:
    """The plan decides every word of it. Nothing of the host is in it."""
    assert qemu_command.qemu(planning.plan(LAB), "xenlab-0123") == GOLDEN


def test_a_lab_that_is_traced_has_ports_for_it() -> None:
    """For Xen's trace, for each traced guest's, and for messages about them. A lab without
    traces has none."""
    guests = (*LAB.guests, GuestSpec("t", FreeRtosApp(Path("/src/t")), trace=1 << 20))
    lab = replace(LAB, guests=guests, trace=XenTrace(("sched",), 0x2F000))
    argv = qemu_command.traces(planning.plan(lab))
    assert [json.loads(word)["name"] for word in argv[3::4]] == [
        "trace-log", "trace-xen", "trace.t",
    ]  # fmt: skip
    assert not any("id" in json.loads(word) for word in argv[3::4]), "QEMU would time them"
    assert qemu_command.trace_ports(lab)["trace-guest-t"] == ("trace.t", "t.records")
    assert qemu_command.traces(planning.plan(LAB)) == []


def test_virtual_time_counts_instructions() -> None:
    """The virtual clock adds the instruction counter, a fixed date and a fixed seed."""
    argv = qemu_command.qemu(planning.plan(LAB, clock=Clock.VIRTUAL), "xenlab-0123")
    assert argv[argv.index("-icount") + 1] == "shift=1,sleep=off"
    assert argv[argv.index("-rtc") + 1].startswith("clock=vm,base=")
    assert [word for word in argv if word not in GOLDEN][:1] == ["-icount"]
    assert not any("agent" in word for word in argv), "it would be asked at moments of the host"


def test_a_restored_machine_only_reads_its_template() -> None:
    """The same machine except for its memory, which is the template's, and for how it begins."""
    argv = qemu_command.qemu(
        planning.plan(LAB), "xenlab-0123", restored=True, memory=Memory.TEMPLATE
    )
    assert argv[-2:] == ["-incoming", "defer"]
    (memory,) = [json.loads(word) for word in argv if word not in GOLDEN and word[0] == "{"]
    assert (memory["share"], memory["readonly"], memory["rom"]) == (False, True, "off")


def test_memory_that_is_never_stored_is_no_file() -> None:
    """The same machine except for this: the host's kernel gives it large pages."""
    argv = qemu_command.qemu(planning.plan(LAB), "xenlab-0123", memory=Memory.ANONYMOUS)
    (memory,) = [json.loads(word) for word in argv if word not in GOLDEN and word[0] == "{"]
    assert memory == {"qom-type": "memory-backend-ram", "id": "ram", "size": 1 << 30}


def test_a_machine_reaches_nothing_but_its_own_folders() -> None:
    """No network, no display, no monitor of its own, and every denial of the sandbox."""
    argv = qemu_command.qemu(planning.plan(LAB), "xenlab-0123")
    assert argv[argv.index("-nic") + 1] == "none"
    assert argv[argv.index("-sandbox") + 1].count("deny") == 4
    assert [word for word in argv if word.startswith("-mon")] == ["-mon"]


def test_what_holds_a_comma_is_json() -> None:
    """A port's name cannot add options, because it is passed as JSON."""
    port = qemu_command.port("a,b=c")
    assert json.loads(json.dumps(port))["name"] == "console.a,b=c"
