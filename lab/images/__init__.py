"""What goes into the machine, built from packages and from our own sources."""
