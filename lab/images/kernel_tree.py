"""Checks whether a folder is a FreeRTOS kernel of the user's own."""

from __future__ import annotations

from pathlib import Path

#: Files of the kernel that are compiled or included in every version (V9, V10, V11).
FILES = ("tasks.c", "include/FreeRTOS.h", "portable/MemMang/heap_4.c")

#: Where the kernel is in a download of FreeRTOS with all its demos.
INSIDE = ("Source", "FreeRTOS/Source")


def lacks(tree: Path) -> str:
    """Why a folder is not a FreeRTOS kernel, in words; empty if it is one."""
    try:
        missing = _missing(tree)
        found = missing and next((name for name in INSIDE if not _missing(tree / name)), "")
    except OSError as error:
        return error.strerror or str(error)
    where = f"; its folder {found} is one" if found else ""
    return f"no {missing} in it{where}" if missing else ""


def _missing(tree: Path) -> str:
    return next((name for name in FILES if not (tree / name).is_file()), "")
