"""Tasks for bundles: one file with everything that labs need."""

from __future__ import annotations

from pathlib import Path

from lab import api
from lab.cli.building import context
from lab.cli.command import command
from lab.cli.lab_task import JSON, LABS
from lab.cli.output import print_json, say
from lab.cli.results import short

_FILE = "the file of the bundle"


@command("bundle.save", words=("file",),
         example="bundle.save two.bundle --lab hello,selftest",
         file="the file to write, or a folder: then the name has the lock's digest",
         lab="labs of labs.yaml, separated by commas (default: hello)",
         wheels="with xenlab and its Python packages, for these versions, as in 3.11,3.13",
         whole="with compilers, for those who build guests or images from it",
         labs=LABS, json=JSON)  # fmt: skip
def bundle_save(file: str, lab: str = "", whole: bool = False, wheels: str = "",
                labs: str = "labs.yaml", json: bool = False) -> None:  # fmt: skip
    """Write everything that labs need into one file.

    What is missing in the cache is made first, with exactly the locked packages.
    """
    saved = api.save_bundle(
        context(labs), Path(file), _listed(lab), whole=whole, wheels=_listed(wheels)
    )
    print_json(saved) if json else _show(saved)


def _listed(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


@command("bundle.show", words=("file",), example="bundle.show hello.bundle", file=_FILE, json=JSON)
def bundle_show(file: str, json: bool = False) -> None:
    """Show what a bundle has, without unpacking it."""
    found = api.show_bundle(Path(file))
    if json:
        print_json(found)
        return
    _show(found)
    for one in found.members:
        print(f"{one['size']:>11}  {str(one['sha256'])[:16]}  {one['name']}")


@command("bundle.load", words=("file",), example="bundle.load hello.bundle --sha256 DIGEST",
         file=_FILE, sha256="the digest that the file must have", json=JSON)  # fmt: skip
def bundle_load(file: str, sha256: str = "", json: bool = False) -> None:
    """Put everything of a bundle into the cache.

    What the cache has already is kept. Every byte is compared with the list first, so a damaged
    bundle changes nothing.
    """
    loaded = api.load_bundle(context("labs.yaml"), Path(file), sha256=sha256)
    if json:
        print_json(loaded)
        return
    say(f"loaded {short(loaded.file)}: {len(loaded.new)} new, {len(loaded.there)} were there")


def _show(found: api.BundleInfo) -> None:
    print(f"file      {short(found.file)}\nsize      {found.size / 1e6:.1f} MB")
    print(f"sha256    {found.sha256}\nlabs      {', '.join(found.labs)}")
    print(f"lock      {found.lock}\nversion   {found.version}")
    print(f"contents  {len(found.members)} members, {found.unpacked / 1e6:.0f} MB unpacked"
          f"{'' if found.whole else '; without compilers'}")  # fmt: skip
