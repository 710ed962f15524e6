"""A place for labs outside a checkout: the labs that ship, as files of the user's own."""

from __future__ import annotations

import shutil
from pathlib import Path

from lab.errors import UsageError
from lab.util.resources import resource

#: What labs.yaml names: the applications, and what a hypervisor is built with.
NAMED = ("images/freertos/apps", "images/hypervisor", "images/linux")


def new(folder: Path) -> Path:
    """Copy the labs that ship, and what they are made of, into a folder; returns its labs.yaml.

    Raises:
        UsageError: something of that name is there already; nothing was written then.
    """
    wanted = ("labs.yaml", *NAMED)
    if there := [name for name in wanted if (folder / name).exists()]:
        raise UsageError(
            f"{folder / there[0]} is there already",
            hint="go to another folder, or name one: lab.new FOLDER",
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMED:
        shutil.copytree(resource(name), folder / name)
    shutil.copyfile(resource("labs.yaml"), folder / "labs.yaml")
    return folder / "labs.yaml"
