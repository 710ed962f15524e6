"""Timing traces."""
