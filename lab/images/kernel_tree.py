"""A FreeRTOS kernel of the user's own: is a folder one?"""

from __future__ import annotations

from pathlib import Path

#: Of the kernel, what is compiled or included whatever its version (V9, V10, V11).
FILES = ("tasks.c", "include/FreeRTOS.h", "portable/MemMang/heap_4.c")

#: Where the kernel lies in a download of FreeRTOS with all its demos.
INSIDE = ("Source", "FreeRTOS/Source")


def lacks(tree: Path) -> str:
    """Why a folder is no FreeRTOS kernel, in words; empty if it is one."""
    try:
        missing = _missing(tree)
        found = missing and next((name for name in INSIDE if not _missing(tree / name)), "")
    except OSError as error:
        return error.strerror or str(error)
    where = f"; its folder {found} is one" if found else ""
    return f"no {missing} in it{where}" if missing else ""


def _missing(tree: Path) -> str:
    return next((name for name in FILES if not (tree / name).is_file()), "")
