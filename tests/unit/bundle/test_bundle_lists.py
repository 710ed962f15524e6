"""Lists of contents that nobody should follow, and bytes that are not what a list says."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bundle.test_bundles import everything, load
from lab.bundle import contents, file, parts
from lab.bundle.contents import Contents, Member
from lab.errors import BundleError
from lab.util import files

SHA = "e" * 64
PART = f"cache/store/guest/{SHA}.zst"


def listed(**changes: Any) -> bytes:
    """A list with one part, with changes."""
    part = {"name": PART, "size": 1, "sha256": SHA}
    good = {
        "format": 1, "lock": "d", "labs": ["hello"], "version": "1", "whole": True,
        "members": [part], "parts": {PART: {"manifest.json": f"644 1 {SHA}"}},
    }  # fmt: skip
    return json.dumps(good | changes).encode()


def with_files(**paths: str) -> bytes:
    return listed(parts={PART: paths})


def named(name: str) -> bytes:
    return listed(members=[{"name": name, "size": 1, "sha256": SHA}], parts={})


def test_a_good_list() -> None:
    found = contents.parse(listed())
    assert found.labs == ("hello",)
    assert contents.parse(found.dump()) == found


@pytest.mark.parametrize(
    "name",
    [
        f"cache/packages/{SHA}/libc6_2.36-9+deb12u13_armhf.deb",
        f"cache/packages/{SHA}/x_1%3a1.0~rc1_all.deb",
        f"cache/apt/resolutions/{SHA}.json",
        "lab/labs.lock",
        "python/regex-2026.1-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
    ],
)
def test_members_that_have_a_place(name: str) -> None:
    (found,) = contents.parse(named(name)).members
    assert not found.is_part


_FILE = f"644 1 {SHA}"


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "cannot be read"),
        (b"[]", "it has no format"),
        (listed(format=2), "its format is 2, newer than this xenlab knows"),
        (listed(members=[]), "the parts are not those of the members"),
        (listed(members=3), "cannot be read"),
        (listed(labs=[3]), "a name or hash is not a text"),
        (listed(members=[{"name": PART, "size": "1", "sha256": SHA}]), "a size is not a number"),
        (named("../evil"), "has no place in a lab's cache"),
        (named("/etc/passwd"), "has no place in a lab's cache"),
        (named("cache/store/../../x"), "has no place in a lab's cache"),
        (named("python/../x.whl"), "has no place in a lab's cache"),
        (with_files(**{"../x": _FILE}), "leads out of its folder"),
        (with_files(**{"/x": _FILE}), "leads out of its folder"),
        (with_files(**{"a/./x": _FILE}), "leads out of its folder"),
        (with_files(**{"a\0": _FILE}), "leads out of its folder"),
        (with_files(**{"a": "-> ../x"}), "link 'a' leads out of its folder"),
        (with_files(**{"b/a": "-> ../../x"}), "link 'b/a' leads out of its folder"),
        (with_files(**{"a": "-> /etc/passwd"}), "link 'a' leads out of its folder"),
        (with_files(**{"a": "-> b", "a/x": _FILE}), "'a/x' is below 'a', which is no folder"),
        (with_files(**{"a": _FILE, "a/x": _FILE}), "'a/x' is below 'a', which is no folder"),
        (with_files(**{"a": "nonsense"}), "'nonsense' describes no file"),
        (with_files(**{"a": f"4755 1 {SHA}"}), "describes no file"),
        (with_files(**{"a": f"644 {10**14} {SHA}"}), "more than 64 GiB"),
        (with_files(**{str(n): _FILE for n in range(200_001)}), "more than 200000 files"),
        (listed(members=[{"name": str(n), "size": 1, "sha256": SHA} for n in range(20_001)]),
         "more than 20000 members"),
    ],
)  # fmt: skip
def test_a_list_that_is_refused(raw: bytes, words: str) -> None:
    with pytest.raises(BundleError) as caught:
        contents.parse(raw)
    assert words in caught.value.message


def test_a_link_that_is_absolute_inside_a_toolchain() -> None:
    """Programs in it see nothing else, so it leads nowhere else."""
    name = f"cache/toolchain/{SHA}-{'f' * 16}.zst"
    member = {"name": name, "size": 1, "sha256": SHA}
    contents.parse(listed(members=[member], parts={name: {"tree/etc/a": "-> /usr/a"}}))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"noise", "cannot be unpacked"),
        (zstandard.compress(b"abc"), "is not what the list says: its sha256 is"),
        (zstandard.compress(b"ab"), "ends in the middle of manifest.json"),
        (zstandard.compress(b"abcd"), "more bytes than its list says"),
        (zstandard.compress(bytes(1 << 30)), "more bytes than its list says|its sha256 is"),
    ],
    ids=["noise", "other", "short", "long", "bomb"],
)
def test_a_part_that_is_not_what_its_list_says(tmp_path: Path, data: bytes, words: str) -> None:
    """Although the tar is what the list says."""
    listed_file = parts.made(b"xyz" if "sha256 is" in words else b"abc")
    member = Member(PART, len(data), parts.made(data).split()[2])
    made = Contents("d", ("hello",), "1", (member,), {PART: {"manifest.json": listed_file}})
    file.write(tmp_path / "a.bundle", made, {PART: data})
    with pytest.raises(BundleError, match=words):
        load(tmp_path / "a.bundle", tmp_path / "to")
    assert not [path for path in everything(tmp_path / "to") if SHA in path]


def changed(data: bytes, at: int, to: int) -> bytes:
    place = at % len(data)
    return data[:place] + bytes([to]) + data[place + 1 :]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(at=st.integers(0, 1 << 30), to=st.integers(0, 255), early=st.booleans())
def test_a_byte_that_was_changed(bundle: Path, at: int, to: int, early: bool) -> None:
    """It is refused in words and changes nothing, or it changed nothing that counts."""
    raw = bundle.read_bytes()
    other = bundle.with_name("other.bundle")
    other.write_bytes(changed(raw, at % 2000 if early else at, to))
    cache = bundle.with_name("to")
    files.remove_tree(cache)
    cache.mkdir()
    try:
        load(other, cache)
    except BundleError:
        assert everything(cache) == {}
    else:
        good = bundle.with_name("good")
        load(bundle, good)
        names = [name for name in everything(good) if not name.endswith("looked")]
        assert {one: everything(cache)[one] for one in names} == {
            one: everything(good)[one] for one in names
        }


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just(_FILE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["format", "lock", "labs", "version", "whole", "members", "parts"]), _values)
def test_any_value_anywhere_in_a_list(key: str, value: Any) -> None:
    """Only words, whatever it is."""
    with contextlib.suppress(BundleError):
        contents.parse(listed(**{key: value}))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_noise_is_no_part(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.raises(BundleError):
        parts.unpack(io.BytesIO(data), {"a": parts.made(b"abc")}, Path(folder))
