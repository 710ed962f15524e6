"""QEMU: its command line, its process, QMP, gdbstub, templates, and the consoles."""
