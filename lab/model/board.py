"""Addresses on QEMU's ``virt`` board, and the names of dom0's ports.

The same for every architecture; see ``architecture`` for what is not.
"""

from __future__ import annotations

#: Physical addresses: where RAM begins (hw/arm/virt.c of QEMU), and what the lab puts there.
RAM_BASE = 0x4000_0000
KERNEL_ADDRESS = 0x4900_0000
INITRAMFS_ADDRESS = 0x4C00_0000
#: The files of the guests that Xen creates while it boots, one after another.
BOOTED_ADDRESS = 0x4D00_0000
#: The window lies behind all other memory: so many bytes, which the host and dom0 share.
WINDOW_SIZE = 16 << 20

#: dom0's program lab-steps stops the machine at two instructions: the virtual address of the
#: first one, and the bytes from it to the second. Nothing else of dom0, Linux or Xen has code
#: there.
STEPS_ADDRESS = 0x6B00_0000
STEPS_APART = 16

#: The virtio-serial ports of dom0: the agent's; a guest's console (with its name); the times at
#: which the bytes of guests' consoles arrived.
AGENT_PORT = "org.qemu.guest_agent.0"
CONSOLE_PORT = "console.{name}"
TIMES_PORT = "times"
#: The port on which dom0 says which domains exist.
DOMAINS_PORT = "domains"
#: The ports of a traced lab: a guest's records, Xen's records, and messages about them.
TRACE_PORT = "trace.{name}"
XEN_TRACE_PORT = "trace-xen"
TRACE_LOG_PORT = "trace-log"
