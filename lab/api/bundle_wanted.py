"""What a bundle of labs has: which entries of the cache a start of them uses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lab.api import plans
from lab.api.context import Context
from lab.errors import UsageError
from lab.model import Architecture, Clock, Plan
from lab.progress import Progress
from lab.store import cache_root
from lab.util import used

if TYPE_CHECKING:
    from lab.bundle import saving
    from lab.bundle.saving import Tree
    from lab.workshop.prepare import Workshop


@dataclass(frozen=True)
class BundleOptions:
    """What a bundle has besides what a start of its labs needs.

    ``whole``: compilers, for those who build guests or images. ``wheels``: versions of Python
    (``3.13``) for which xenlab and the packages that it needs are saved too. ``templates``: the
    templates of its labs that the cache has. ``sources``: the packages that images and guests are
    made of, for those who build them again. ``page``: what the page of a class needs, and with
    ``wheels`` its Python packages too.
    """

    whole: bool = False
    wheels: tuple[str, ...] = ()
    templates: bool = False
    sources: bool = False
    page: bool = False


def wanted_of(context: Context, labs: Sequence[Plan], options: BundleOptions) -> saving.Wanted:
    """What plans are made of, all of it in the cache.

    They are prepared twice. The first time may build something, and then uses more than a start
    from a full cache. The second time uses what such a start uses, whatever was there before. It
    has everything at hand, and says nothing.
    """
    from lab.workshop.page_parts import page_parts

    cache = cache_root()
    shops = _shops(context, labs)
    for lab in labs:
        shops[lab.machine.arch].prepare(lab)
        if options.page:
            page_parts(shops[lab.machine.arch].supplies)
    with used.noting() as noted:
        shops = _shops(replace(context, progress=Progress(quiet=True)), labs)
        for lab in labs:
            shops[lab.machine.arch].prepare(lab)
            if options.page:
                page_parts(shops[lab.machine.arch].supplies)
            if options.sources:
                noted.update(_sources(shops[lab.machine.arch], lab))
    trees = [_tree(shop, arch, whole=options.whole) for arch, shop in shops.items()]
    folders = sorted(path for path in noted if path.is_dir())
    plain = sorted(path for path in noted if path.is_file())
    from lab.bundle.saving import Wanted

    return Wanted(cache, trees, folders, plain)


def _shops(context: Context, labs: Sequence[Plan]) -> dict[Architecture, Workshop]:
    """A new workshop for each architecture of some labs."""
    archs = dict.fromkeys(lab.machine.arch for lab in labs)
    return {arch: context.workshop(arch=arch) for arch in archs}


def _sources(shop: Workshop, lab: Plan) -> Iterator[Path]:
    """The packages that a lab's images and guests are made of. Missing ones are fetched."""
    from lab.workshop.questions import KERNEL

    for question in (shop.platform_of(lab.lab.hypervisor).question, KERNEL):
        shop.supplies.fetch(question)
        yield from (package.path for package in shop.supplies.packages(question))


def templates_of(context: Context, names: Sequence[str]) -> list[Path]:
    """The folders of the templates of labs, under each clock.

    Raises:
        UsageError: a lab has none.
    """
    from lab.run import templates

    found: list[Path] = []
    for name in names:
        keys = set[str]()
        for clock in Clock:
            plan = plans.make_plan(context, name, clock)
            prepared = context.workshop(arch=plan.machine.arch).prepare(plan)
            keys |= {templates.key_of_dom0(plan, prepared)}
            keys |= {templates.key_with_guests(plan, prepared)} - {""}
        there = [templates.root() / key for key in sorted(keys)]
        there = [path for path in there if (path / "manifest.json").exists()]
        if not there:
            hint = f"./inv lab.run {name} stores one"
            raise UsageError(f"the lab {name} has no template yet", hint=hint)
        found += [path for path in there if path not in found]
    return found


def _tree(shop: Workshop, arch: Architecture, *, whole: bool) -> Tree:
    from lab.bundle.saving import Tree
    from lab.toolchain import listing, running_part, tree_cache

    made = tree_cache.find(cache_root(), shop.supplies.locked_toolchain, arch, strict=True)
    assert made is not None
    contents = listing.read(made.path)
    if whole and made.partial:
        raise UsageError(
            f"the toolchain in {made.path.parent} came out of a bundle and has no compilers",
            hint=f"remove {made.path.parent}: bundle.save --whole makes it again",
        )
    if whole:
        return Tree(made, frozenset(running_part.whole(contents)), made.partial)
    paths = running_part.files(shop.toolchain, contents, arch)
    return Tree(made, frozenset(paths), partial=True)
