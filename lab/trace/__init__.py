"""Timing traces: from records to figures, pages and files for other programs."""
