"""Which Debian packages are used, and where their files come from."""
