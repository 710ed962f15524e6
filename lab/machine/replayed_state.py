"""Makes the stored devices of a machine that replays into a state from which it goes on.

QEMU does not migrate a machine that replays: its thread for that reads the host's clock, which
only the threads of the machine may (``replay_read_clock`` in replay/replay-time.c, QEMU 10.0). Its
command ``xen-save-devices-state`` stores the same devices, and where they are in the recording,
but neither the machine's configuration nor a description (``qemu_save_device_state`` in
migration/savevm.c). Both are added here.

The device virtio-serial sets a timer when it is loaded, if it has ports. In a replay no timer may
run that the recording has not, and the machine would stand still. So the ports are left out. They
are there all the same, because the command line has them. What is lost is whether dom0 has opened
them, which QEMU looks at for input alone.
"""

from __future__ import annotations

import re

from lab.errors import MachineError
from lab.machine import device_state

#: What each stored state begins with: the word QEVM, and the version.
HEAD = b"QEVM\0\0\0\x03"
#: Behind each device: this byte, and the device's number.
FOOTER = b"\x7e"
#: The end of the devices; behind it comes a description, here an empty one.
END = b"\0"
DESCRIPTION = device_state.DESCRIPTION + b"\0\0\0\x02{}"
#: How the name of the device with dom0's ports ends.
SERIAL = b"/virtio-console"
#: Its part of its section (``virtio_serial_save_device`` in hw/char/virtio-serial-bus.c): two
#: sizes that are 0, how many ports there may be, which there are, and how many.
PORTS = re.compile(rb"(?=\0{7}[\1-\x20](?P<which>(?s:.{4}))(?P<count>\0{3}[\1-\x1f]))")
#: Each port: its number, whether it is open on either side, and whether output waits.
PORT = re.compile(rb"(?P<number>(?s:.{4}))[\0\1][\0\1]\0\0\0\0")


class Unfit(MachineError):
    """A machine cannot be stored where it stands."""


def loadable(devices: bytes, like: bytes) -> bytes:
    """A state that QEMU loads, out of what its ``xen-save-devices-state`` has written.

    ``like``: a state that the same machine has stored by migration.

    Raises:
        Unfit: it does not have the expected form, as when output waits in a port.
        MachineError: ``like`` does not have the form that QEMU gives it.
    """
    if not devices.startswith(HEAD) or not devices.endswith(END):
        raise Unfit("the stored devices of the machine do not have the expected form")
    configuration = like[len(HEAD) : device_state.end_of_configuration(like)]
    return HEAD + configuration + _without_ports(devices[len(HEAD) :]) + DESCRIPTION


def _without_ports(devices: bytes) -> bytes:
    named = devices.find(SERIAL)
    if named < 0:
        return devices
    length = devices.rfind(b"virtio-mmio@", 0, named) - 1
    number = devices[length - 4 : length]
    end = devices.find(FOOTER + number, named)
    found = [place for place in PORTS.finditer(devices, named, end) if _ports(devices, place)]
    if len(found) != 1:
        raise Unfit("the stored ports of dom0 do not have the expected form")
    begin = found[0].start("count")
    return devices[:begin] + bytes(4) + devices[_ports(devices, found[0]) :]


def _ports(devices: bytes, place: re.Match[bytes]) -> int:
    """Where a list of ports ends that begins at a place; 0: it is none."""
    count = int.from_bytes(place["count"], "big")
    at, which = place.end("count"), 1  # the number 0 is always taken
    for _ in range(count):
        port = PORT.match(devices, at)
        if port is None:
            return 0
        which |= 1 << min(int.from_bytes(port["number"], "big"), 32)
        at = port.end()
    return at if which == int.from_bytes(place["which"], "big") else 0
