"""What a kernel says about itself: its release, which modules it takes, its configuration."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from lab.images import zimage
from lab.model import ARM64
from lab.util import kconfig

#: linux_banner of init/version.c, and VERMAGIC_STRING of include/linux/vermagic.h.
_RELEASE = re.compile(rb"Linux version ([!-~]{1,100}) ")
_VERMAGIC = rb"\0(%s [ -~]{0,100})\0"
#: Where CONFIG_IKCONFIG puts the configuration (kernel/configs.c).
_CONFIG_START = b"IKCFG_ST"
#: The largest configuration in bytes.
_MOST = 4 << 20


@dataclass(frozen=True)
class KernelFacts:
    """``release`` as ``uname -r`` prints it, and ``vermagic``, which modules must have; either is
    empty if it is not found. ``config``: the kernel's own copy of its options, if it has one.

    ``note``: why nothing is known of the kernel; empty if it could be unpacked.
    """

    release: str = ""
    vermagic: str = ""
    config: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


def read(packed: bytes) -> KernelFacts:
    """The facts of a zImage, or of an arm64 Image."""
    try:
        image = packed if ARM64.marks_kernel(packed) else zimage.unwrap(packed).image
    except ValueError as error:
        return KernelFacts(note=str(error))
    release = _RELEASE.search(image)
    if not release:
        return KernelFacts(note="it has no 'Linux version …' in it")
    vermagic = re.search(_VERMAGIC % re.escape(release[1]), image)
    return KernelFacts(
        release[1].decode(),
        vermagic[1].decode().strip() if vermagic else "",
        _config(image),
    )


def _config(image: bytes) -> dict[str, str]:
    start = image.find(_CONFIG_START)
    if start < 0:
        return {}
    decoder = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        text = decoder.decompress(image[start + len(_CONFIG_START) :], _MOST)
    except zlib.error:
        return {}
    return kconfig.parse(text.decode(errors="replace"))
