"""Measurements: how long things take here, as ratios to a baseline of the same session."""
