"""Bundles: one file with everything that labs need to run."""
