"""The control interface between a hypervisor and its tools, as Xen's public headers number it.

Xen refuses a call of another version (``do_domctl`` and ``do_sysctl`` in ``xen/common``): the
toolstack sees "Permission denied".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lab.errors import ImageError
from lab.util import reading

#: Below a source tree of Xen; the package libxen-dev has the same files in ``usr/include/xen``.
PUBLIC = "xen/include/public"
#: The files of a tree that say the versions.
HEADERS = (f"{PUBLIC}/domctl.h", f"{PUBLIC}/sysctl.h")


@dataclass(frozen=True)
class Interface:
    """``XEN_DOMCTL_INTERFACE_VERSION`` and ``XEN_SYSCTL_INTERFACE_VERSION``."""

    domctl: int
    sysctl: int

    def __str__(self) -> str:
        return f"domctl {self.domctl:#x}, sysctl {self.sysctl:#x}"


def of_headers(folder: Path) -> Interface:
    """The versions in ``domctl.h`` and ``sysctl.h`` of a folder of public headers.

    Raises:
        ImageError: a header is missing, or says none.
    """
    return Interface(_version(folder, "domctl"), _version(folder, "sysctl"))


def of_tree(tree: Path) -> Interface:
    """Those of a source tree of Xen.

    Raises:
        ImageError: it has no such headers.
    """
    return of_headers(tree / PUBLIC)


def _version(folder: Path, name: str) -> int:
    file = folder / f"{name}.h"
    try:
        text = reading.text(file, errors="replace")
    except OSError as error:
        raise ImageError(f"no public header of Xen: {file}: {error.strerror}") from None
    define = rf"#\s*define\s+XEN_{name.upper()}_INTERFACE_VERSION\s+(0x[0-9a-fA-F]+|\d+)"
    if not (found := re.search(define, text)):
        raise ImageError(f"{file} does not say which version of the interface it is")
    return int(found[1], 0)
