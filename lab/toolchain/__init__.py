"""How programs are run where everybody has the same ones: the doors into the toolchain."""
