"""The docker door: every program runs in a container of the toolchain's image."""
