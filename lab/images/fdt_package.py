"""The package ``fdt``, loaded without a warning: newer Pythons warn about a text in its sources."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", SyntaxWarning)
    warnings.simplefilter("ignore", DeprecationWarning)  # the same up to Python 3.11
    import fdt

__all__ = ["fdt"]
