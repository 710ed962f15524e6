"""Where everything lies on the board, and the names of dom0's ports."""

from __future__ import annotations

#: The physical memory of QEMU's ``virt`` board (hw/arm/virt.c) and what we put where in it.
RAM_BASE = 0x4000_0000
KERNEL_ADDRESS = 0x4900_0000
INITRAMFS_ADDRESS = 0x4C00_0000
#: Behind the memory lies the window: as many bytes that the host and dom0 share.
WINDOW_SIZE = 16 << 20

#: Where dom0's program lab-steps has its two places to stop at (virtual; nothing else of dom0,
#: Linux or Xen has code there), and how far they are apart.
STEPS_ADDRESS = 0x6B00_0000
STEPS_APART = 16

#: The virtio-serial ports of dom0: the agent's, a guest's console (with its name), and the
#: index of when which byte of a guest's console arrived.
AGENT_PORT = "org.qemu.guest_agent.0"
CONSOLE_PORT = "console.{name}"
TIMES_PORT = "times"
#: Where dom0 says which domains there are.
DOMAINS_PORT = "domains"
#: And of a lab that is traced: a guest's records, Xen's, and what is said about them.
TRACE_PORT = "trace.{name}"
XEN_TRACE_PORT = "trace-xen"
TRACE_LOG_PORT = "trace-log"
