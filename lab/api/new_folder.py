"""A folder for labs outside a checkout: a copy of the labs that ship, for the user to edit."""

from __future__ import annotations

import shutil
from pathlib import Path

from lab.errors import UsageError
from lab.util.resources import resource

#: The folders that the shipped labs.yaml names: guests' sources, and settings of hypervisors.
NAMED = ("images/freertos/apps", "images/hypervisor", "images/linux")


def new(folder: Path) -> Path:
    """Copy the labs that ship, and what they are made of, into a folder; returns its labs.yaml.

    Raises:
        UsageError: a file of that name exists already; then nothing was written.
    """
    wanted = ("labs.yaml", *NAMED)
    if there := [name for name in wanted if (folder / name).exists()]:
        raise UsageError(
            f"{folder / there[0]} exists already",
            hint="go to another folder, or name one: lab.new FOLDER",
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMED:
        shutil.copytree(resource(name), folder / name)
    shutil.copyfile(resource("labs.yaml"), folder / "labs.yaml")
    return folder / "labs.yaml"
