"""What must be there before a boot: the toolchain, packages, images, guests."""
