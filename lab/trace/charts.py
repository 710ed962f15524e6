"""Small pictures of the report as SVG: histograms and stacked bars.

Colours are classes of the page's style sheet, so that they follow light and dark mode. Of what a
guest wrote only numbers get here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

WIDTH, HEIGHT, FOOT, HEAD = 560, 150, 24, 18
BINS = 80


def length_words(seconds: float) -> str:
    """A length of time in the unit that fits it."""
    size = abs(seconds)
    if size >= 1:
        return f"{seconds:.3f} s"
    if size >= 1e-3:
        return f"{seconds * 1e3:.3f} ms"
    return f"{seconds * 1e6:.{2 if size < 1e-4 else 1}f} µs"


def histogram(
    seconds: npt.NDArray[np.float64], due: float, words: str, colour: str = "execution"
) -> str:
    """How often each time occurs. Time is linear from 0, the count logarithmic.

    ``due`` is marked if it is above 0. ``words`` describe the picture to people who cannot see
    it: plain text without markup. Only late things have the colour of late things, and a deadline
    that was missed.
    """
    top = float(np.max(seconds)) if len(seconds) else 0.0
    far = max(top, due) * 1.04 or 1e-6
    far = top * 1.04 if due > 5 * top > 0 else far
    edges = np.linspace(0, far, BINS + 1)
    counts, _ = np.histogram(np.clip(seconds, 0, far), edges)
    tall = math.log10(max(1, int(np.max(counts))) + 1)
    step, room = WIDTH / BINS, HEIGHT - FOOT - HEAD
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{words}">']
    base = HEIGHT - FOOT
    for number, count in enumerate(counts.tolist()):
        if count:
            height = max(2.0, math.log10(count + 1) / tall * room)
            kind = "late" if 0 < due <= edges[number] else colour
            parts.append(
                f'<rect class="f-{kind}" x="{number * step + 0.5:.2f}" '
                f'y="{base - height:.2f}" width="{step - 1:.2f}" height="{height:.2f}" rx="1"/>'
            )
    parts.append(f'<path class="axis" d="M0 {base}.5H{WIDTH}"/>')
    parts += _scale(far)
    if 0 < due <= far:
        parts += _due(due / far * WIDTH, missed=top > due)
    return "".join([*parts, "</svg>"])


def _scale(far: float) -> list[str]:
    power = 10 ** math.floor(math.log10(far / 3))
    step = next(power * k for k in (1, 2, 5, 10) if far / (power * k) <= 5)
    found = []
    for number in range(int(far / step) + 1):
        x = number * step / far * WIDTH
        if x > WIDTH - 50 and number:
            break
        anchor = "start" if number == 0 else "middle"
        text = _tick(number * step, step)
        found.append(f'<text x="{x:.1f}" y="{HEIGHT - 7}" text-anchor="{anchor}">{text}</text>')
    return found


def _tick(seconds: float, step: float) -> str:
    if seconds == 0:
        return "0"
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * scale >= 1 or unit == "µs":
            digits = max(0, math.ceil(-math.log10(step * scale) - 1e-9))
            return f"{seconds * scale:.{digits}f} {unit}"
    return ""


def _due(x: float, *, missed: bool) -> list[str]:
    kind = "due missed" if missed else "due"
    anchor, shift = ("end", -4) if x > WIDTH / 2 else ("start", 4)
    return [
        f'<path class="{kind}" d="M{x:.1f} 2V{HEIGHT - FOOT}"/>',
        f'<text class="{kind}" x="{x + shift:.1f}" y="13" text-anchor="{anchor}">deadline</text>',
    ]


def stack(parts: Sequence[tuple[str, float]], whole: float) -> str:
    """A bar of ``parts``, each (class, size). The full length stands for ``whole``."""
    found = [
        '<svg class="stack" viewBox="0 0 1000 14" preserveAspectRatio="none" ',
        'aria-hidden="true"><rect class="f-none" width="1000" height="14"/>',
    ]
    x = 0.0
    for name, size in parts:
        width = 1000 * size / whole if whole > 0 else 0.0
        if width >= 0.05:
            found.append(
                f'<rect class="f-{name}" x="{x:.2f}" y="0" width="{width:.2f}" height="14"/>'
            )
        x += width
    return "".join([*found, "</svg>"])
