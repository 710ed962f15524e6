"""Builds what goes into the machine, from packages and from the lab's own sources."""
