"""Tasks for bundles: one file with everything that labs need."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from lab import api
from lab.cli import optional
from lab.cli.building import context
from lab.cli.command import command, words_of
from lab.cli.lab_task import JSON, LAB_OR_HELLO, LABS
from lab.cli.output import print_json, say
from lab.cli.results import short
from lab.errors import UsageError

_FILE = "the file of the bundle"


@command("bundle.save", words=("file", "name"), optional=("name",), several=True,
         example="bundle.save two.bundle hello selftest",
         file="the file to write, or a folder: then the name has the lock's digest",
         name=f"{LAB_OR_HELLO}; there may be several, and patterns such as 'sched-*'",
         wheels="with xenlab and its Python packages, for these versions, as in 3.11,3.13",
         templates="with the templates of these labs that the cache has",
         sources="with the packages that images and guests are made of",
         page="with what the page of a class (lab.serve) needs",
         whole="with compilers, for those who build guests or images from it",
         labs=LABS, json=JSON)  # fmt: skip
def bundle_save(file: str, name: str, whole: bool = False, wheels: str = "",
                templates: bool = False, sources: bool = False, page: bool = False,
                labs: str = "labs.yaml", json: bool = False) -> None:  # fmt: skip
    """Write everything that labs need into one file.

    What is missing in the cache is made first, with exactly the locked packages.
    """
    options = api.BundleOptions(whole, tuple(_listed(wheels)), templates, sources, page)
    where = context(labs)
    saved = api.save_bundle(where, Path(file), api.select(where, words_of(name)), options)
    print_json(saved) if json else _show(saved)


@command("bundle.push", words=("file", "ref"), example="bundle.push a.bundle localhost:5000/labs:a",
         file=_FILE, ref="a reference in a registry, such as registry.example/labs:hello",
         json=JSON)  # fmt: skip
def bundle_push(file: str, ref: str, json: bool = False) -> None:
    """Store a bundle in a registry of OCI artifacts.

    It prints the reference with the digest, which names exactly these bytes.
    """
    where = _with("oras", "registry")
    stored = api.push_bundle(where, Path(file), ref)
    print_json(stored) if json else print(stored.reference)


@command("bundle.pull", words=("ref", "file"), example="bundle.pull localhost:5000/labs:a a.bundle",
         ref="the reference in a registry, with a tag or with @sha256:DIGEST",
         file="the file to write", json=JSON)  # fmt: skip
def bundle_pull(ref: str, file: str, json: bool = False) -> None:
    """Write a registry's bundle into a file.

    Its digest is checked. bundle.load puts it into the cache.
    """
    where = _with("oras", "registry")
    stored = api.pull_bundle(where, ref, Path(file))
    print_json(stored) if json else print(f"{stored.sha256}  {short(stored.file)}")


def _with(package: str, group: str) -> api.Context:
    """A context, once a package of an optional group is installed."""
    found = context("labs.yaml")
    optional.have(package, group, found.progress)
    if find_spec(package) is None:
        words = f"the package {package} is missing"
        raise UsageError(words, hint=f"pip install 'xenlab[{group}]'")
    return found


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
         file=_FILE, sha256="the digest that the file must have", json=JSON,
         key="the public key of minisign that must have signed it: a file, or text")  # fmt: skip
def bundle_load(file: str, sha256: str = "", key: str = "", json: bool = False) -> None:
    """Put everything of a bundle into the cache.

    What the cache has already is kept. Every byte is compared with the list first, so a damaged
    bundle changes nothing.
    """
    where = _with("minisign", "signed") if key else context("labs.yaml")
    loaded = api.load_bundle(where, Path(file), sha256=sha256, key=key)
    if json:
        print_json(loaded)
        return
    say(f"loaded {short(loaded.file)}: {len(loaded.new)} new, {len(loaded.there)} were there")
    if loaded.signed:
        say(f"signed with this key: {loaded.signed}")
    if loaded.left_out:
        say(f"{len(loaded.left_out)} templates were left out: give --sha256 or --key to use them")


def _show(found: api.BundleInfo) -> None:
    print(f"file      {short(found.file)}\nsize      {found.size / 1e6:.1f} MB")
    print(f"sha256    {found.sha256}\nlabs      {', '.join(found.labs)}")
    print(f"lock      {found.lock}\nversion   {found.version}")
    print(f"contents  {len(found.members)} members, {found.unpacked / 1e6:.0f} MB unpacked"
          f"{'' if found.whole else '; without compilers'}")  # fmt: skip
