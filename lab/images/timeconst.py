"""Prints ``include/generated/timeconst.h`` of Linux, in place of its kernel/time/timeconst.bc.

The build of Linux needs ``bc`` for this one file, and the toolchain has no bc. The program runs
inside the toolchain, on its own: ``python3 timeconst.py HZ``.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator

#: Units of time that are converted to ticks: name, how many are in a second.
UNITS = (("MSEC", 1_000), ("USEC", 1_000_000))
NSEC = 1_000_000_000
BITS = 32


def shift(numerator: int, denominator: int) -> int:
    """The least shift with which the multiplier has 32 bits."""
    return next(s for s in range(256) if multiplier(s, numerator, denominator) >= 1 << (BITS - 1))


def multiplier(bits: int, numerator: int, denominator: int) -> int:
    """``numerator / denominator`` in units of ``2 ** -bits``, rounded up."""
    return ((numerator << bits) + denominator - 1) // denominator


def adjustment(bits: int, numerator: int, denominator: int) -> int:
    """What is added before the shift, so that the quotient is rounded up."""
    divisor = denominator // math.gcd(numerator, denominator)
    return (divisor - 1 << bits) // divisor


def header(hz: int) -> Iterator[str]:
    """The lines of the file for a tick of ``hz`` a second."""
    yield from ("#ifndef KERNEL_TIMECONST_H", "#define KERNEL_TIMECONST_H", "")
    yield from ("#include <linux/param.h>", "#include <linux/types.h>", "")
    yield from (f"#if HZ != {hz}", '#error "timeconst.h has the wrong HZ value!"', "#endif", "")
    for unit, second in UNITS:
        for name, pair in ((f"HZ_TO_{unit}", (second, hz)), (f"{unit}_TO_HZ", (hz, second))):
            bits = shift(*pair)
            yield f"#define {name}_MUL32 U64_C({multiplier(bits, *pair):#x})"
            yield f"#define {name}_ADJ32 U64_C({adjustment(bits, *pair):#x})"
            yield f"#define {name}_SHR32 {bits}"
        yield from fractions(unit, second, hz)
    yield from fractions("NSEC", NSEC, hz)
    yield from ("", "#endif")


def fractions(unit: str, second: int, hz: int) -> Iterator[str]:
    """The ratio of a unit and a tick, as fractions in lowest terms."""
    common = math.gcd(hz, second)
    yield f"#define HZ_TO_{unit}_NUM {second // common}"
    yield f"#define HZ_TO_{unit}_DEN {hz // common}"
    yield f"#define {unit}_TO_HZ_NUM {hz // common}"
    yield f"#define {unit}_TO_HZ_DEN {second // common}"


if __name__ == "__main__":
    sys.stdout.write("".join(f"{line}\n" for line in header(int(sys.argv[1]))))
