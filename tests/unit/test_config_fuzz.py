"""Whatever bytes a labs.yaml has, it is read, or refused with a place."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from kernel_files import zimage

from lab import config
from lab.errors import ConfigError

WORDS = """labs guests hypervisors g one kernel g.bin memory 16M 1 cpus [0] {} [] expect on line
 regex within 10s dom0 xen ~ no 12:30 0x1F 010 .inf && *x &x !!str ? : - | > '\" ,"""
_words = st.sampled_from(WORDS.split()) | st.text(max_size=8)
_trees = st.recursive(
    _words | st.integers() | st.floats() | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_words, inner, max_size=4),
    max_leaves=12,
)


def _never_a_traceback(folder: Path, raw: bytes) -> None:
    file = folder / "fuzz.yaml"
    file.write_bytes(raw)
    message = "fuzz.yaml:1:1: "
    try:
        config.load(file)
    except ConfigError as error:
        message = error.message
    assert re.match(r".*fuzz\.yaml:\d+:\d+: ", f"/{message}")
    assert message.replace("\n", "").replace("\t", "").isprintable()


@pytest.fixture(scope="module")
def fuzz_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "g.bin").write_bytes(zimage())
    return folder


@given(st.binary(max_size=200))
def test_any_bytes(fuzz_folder: Path, raw: bytes) -> None:
    _never_a_traceback(fuzz_folder, raw)


@given(st.lists(_words | st.sampled_from(["\n", "\n  ", "\n    ", ": ", "- "]), max_size=30))
def test_any_words(fuzz_folder: Path, words: list[str]) -> None:
    _never_a_traceback(fuzz_folder, " ".join(words).encode("utf-8", "surrogatepass"))


@given(st.dictionaries(st.sampled_from(["hypervisors", "guests", "labs"]), _trees))
def test_any_tree_below_known_sections(fuzz_folder: Path, tree: dict[str, object]) -> None:
    _never_a_traceback(fuzz_folder, yaml.safe_dump(tree, allow_unicode=True).encode())


_KEYS = {
    "guests": "freertos emergency_console project build kernel elf ramdisk memory cpus cmdline",
    "labs": "description hypervisor cpus memory dom0 guests expect clock",
    "hypervisors": "from source kconfig args tools",
}


@given(st.data())
def test_any_value_below_known_keys(fuzz_folder: Path, data: st.DataObject) -> None:
    """JSON is YAML: known keys with arbitrary values."""
    section = data.draw(st.sampled_from(sorted(_KEYS)))
    fields = st.dictionaries(st.sampled_from(_KEYS[section].split()), _trees, max_size=4)
    tree = {"labs": {"one": {}}, section: {"x": data.draw(fields)}}
    _never_a_traceback(fuzz_folder, json.dumps(tree).encode())
