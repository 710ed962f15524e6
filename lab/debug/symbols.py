"""What GDB gets of a run: ELF files with symbols, and where their sources are.

The run folder has copies of the guests' ELF files and of ``xen-syms``. Its manifest has their
hashes, so a file that is not the one which ran is noticed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab.errors import UsageError
from lab.rundir import RunDir
from lab.util import files

XEN, DOM0 = "xen", "dom0"
#: Why a guest that somebody else built may have no symbols.
NO_ELF = "labs.yaml names no ELF file of this guest"
#: Where a kernel's build leaves its ELF file, from the folder of its zImage or Image.
_NEAR_KERNEL = ("vmlinux", "../compressed/vmlinux", "../../../vmlinux", "../../../../vmlinux")


@dataclass(frozen=True)
class Symbols:
    """Attributes:
    files: the ELF file of each place: a guest's name, ``xen``, ``dom0``.
    why_none: for each place without one, the reason in words.
    sources: pairs of a path in the files and the folder that it stands for now.
    """

    files: Mapping[str, Path] = field(default_factory=dict)
    why_none: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[tuple[str, Path], ...] = ()


def of_run(run: RunDir, sources: Iterator[tuple[str, Path]] | tuple[()] = ()) -> Symbols:
    """The symbols of a run.

    Raises:
        UsageError: a file is not the one that ran.
    """
    manifest = run.manifest()
    found: dict[str, Path] = {}
    why: dict[str, str] = {}
    for name, parts in (manifest.get("guests") or {}).items():
        elf = run.guest_dir / f"{name}.elf"
        if not elf.is_file():
            cause = f"{elf} is gone" if "elf" in parts else NO_ELF
            why[name] = f"{name} has no symbols: {cause}"
            continue
        _check(elf, (parts.get("elf") or {}).get("sha256"), f"guest {name}")
        found[name] = elf
    for elf in sorted(run.guest_dir.glob("*.elf")):  # those that were injected
        found.setdefault(elf.stem, elf)
    _xen(run, found, why)
    _dom0(run, found, why)
    there = tuple((name, folder) for name, folder in sources if folder.is_dir())
    return Symbols(found, why, there)


def _xen(run: RunDir, found: dict[str, Path], why: dict[str, str]) -> None:
    if not run.symbols_file.is_file():
        why[XEN] = "Xen has no symbols: it is Debian's. A hypervisor 'from: source' has them"
        return
    images = run.manifest().get("images") or {}
    _check(run.symbols_file, (images.get("xen-syms") or {}).get("sha256"), "Xen")
    found[XEN] = run.symbols_file


def _dom0(run: RunDir, found: dict[str, Path], why: dict[str, str]) -> None:
    """dom0's kernel has symbols only if it is the user's own."""
    named = run.manifest().get("dom0_kernel") or {}
    places = [Path(named["source"]) / "vmlinux"] if "source" in named else []
    if "kernel" in named:
        folder = Path(named["kernel"]).parent
        places += [folder / near for near in _NEAR_KERNEL]
    for place in places:
        if place.is_file():
            found[DOM0] = place.resolve()
            return
    why[DOM0] = "dom0's kernel has no symbols: Debian's package has none"
    if places:
        why[DOM0] = f"dom0's kernel has no symbols: there is no {places[0]}"


def _check(file: Path, wanted: str | None, what: str) -> None:
    if wanted and files.sha256_file(file) != wanted:
        raise UsageError(
            f"{what}: {file} is not the file that runs: its content has changed",
            hint="start the lab again, so that its run folder gets the right files",
        )
