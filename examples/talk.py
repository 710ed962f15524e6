"""Boot a lab and talk to its guest: ``python examples/talk.py [labs.yaml]``."""

from __future__ import annotations

import sys
from pathlib import Path

from lab import api


def main(file: Path) -> None:
    with api.lab("hello", api.Context(file), numbered=True) as lab:
        hello = lab.guest("hello")
        print("the guest says:", hello.expect("hello from FreeRTOS").line)
        hello.send("good morning\r")
        print("it answers:", hello.expect(r"you typed: .+", regex=True).line)
        print(lab.dom0.run("xl list").output, end="")
        print("all of it:", lab.run_dir)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "labs.yaml"))
