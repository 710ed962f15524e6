"""Checks whether this machine has what labs need."""
