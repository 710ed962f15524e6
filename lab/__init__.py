"""A virtual lab for Xen on ARM: Xen, dom0 and guests under QEMU, driven from Python.

The public interface is :mod:`lab.api`.
"""

#: The one place that says it: pyproject.toml reads it from here.
__version__ = "0.1.0"
