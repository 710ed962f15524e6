"""A debugger's session: GDB beside a lab, and the proxy between GDB and QEMU's gdbstub."""
