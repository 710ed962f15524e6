"""Divides labs, or seeds, among machines: each takes a part, and all parts take about as long."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """Part ``number`` of ``count``, counted from 1."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def parse(text: str) -> Shard | None:
    """The shard that a text such as ``2/3`` means; ``None`` if it means none."""
    found = re.fullmatch(r"([1-9][0-9]{0,3})/([1-9][0-9]{0,3})", text)
    if not found or int(found[1]) > int(found[2]):
        return None
    return Shard(int(found[1]), int(found[2]))


def every(items: Sequence[T], shard: Shard) -> list[T]:
    """Those that a shard takes of things that take about as long: each ``count``-th one."""
    return list(items[shard.number - 1 :: shard.count])


def parts(names: Sequence[str], count: int, seconds: Mapping[str, float]) -> list[list[str]]:
    """The names that each shard takes, in the order of ``names``.

    ``seconds``: how long each took earlier. One that is unknown counts as the median of the
    others. The longest ones are given out first, each to the shard that has the least to do. The
    same arguments give the same parts everywhere.
    """
    usual = statistics.median(seconds.values()) if seconds else 1.0
    takes = {name: max(0.0, seconds.get(name, usual)) for name in names}
    shares: list[list[str]] = [[] for _ in range(count)]
    loads = [0.0] * count
    for name in sorted(names, key=lambda name: (-takes[name], name)):
        least = min(range(count), key=lambda number: (loads[number], len(shares[number]), number))
        shares[least].append(name)
        loads[least] += takes[name]
    return [[name for name in names if name in share] for share in shares]
