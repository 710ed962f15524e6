"""QEMU: its command line, its process, QMP and the consoles."""
