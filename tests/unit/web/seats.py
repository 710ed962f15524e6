"""A seat for unit tests: its folder as the server lays it, without a lab."""

from __future__ import annotations

from pathlib import Path

from lab import config
from lab.web import excerpt
from lab.web.classroom import Seat

LABS = """\
guests:
  hello: {freertos: apps/hello, memory: 16M}
  twin: {freertos: apps/hello}
  ready: {kernel: kernel.bin, disk: "disk.img,raw,xvda,r"}
labs:
  class: {guests: [hello, twin, ready]}
"""


#: The same with a lab whose processors and scheduler are the participant's.
SHARED = """\
guests:
  hello: {freertos: apps/hello}
labs:
  class: {description: mine, cpus: 1, scheduler: credit2, guests: [hello]}
"""


def lay(folder: Path, labs: str = LABS) -> Seat:
    """A seat of the lab ``class``, below ``folder``."""
    base = folder / "base"
    (base / "apps/hello").mkdir(parents=True)
    (base / "apps/hello/main.c").write_text("int main(void);\n")
    (base / "apps/hello/picture.bin").write_bytes(b"\0\xff")
    (base / "kernel.bin").write_bytes(b"\0" * 64)
    (base / "disk.img").write_bytes(b"\0" * 512)
    (base / "labs.yaml").write_text(labs)
    seat = Seat(1, "class-1", folder / "seat", "secret")
    lab = config.find_lab(config.load(base / "labs.yaml"), "class")
    excerpt.lay(base / "labs.yaml", lab, seat.folder)
    return seat
