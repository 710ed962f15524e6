"""Measures how long things take here, as ratios to a baseline measured in the same session."""
