"""Whoever watches a folder is woken by what happens in it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from lab.web.growth import Growth

#: Seconds in which a change is noticed, on the slowest machine.
SOON = 20.0


def test_who_is_told_of_what(tmp_path: Path) -> None:
    """New names wake everybody, contents only those who asked for them."""

    async def go() -> None:
        names, contents = tmp_path / "names", tmp_path / "contents"
        names.mkdir()
        contents.mkdir()
        (names / "a").touch()
        (contents / "a").touch()
        told: list[str] = []
        news = asyncio.Event()

        def hear(what: str) -> None:
            told.append(what)
            news.set()

        async with Growth() as growth:
            growth.watch(names, lambda: hear("names"))
            growth.watch(contents, lambda: hear("contents"), contents=True)
            (names / "a").write_text("more")
            (contents / "a").write_text("more")
            await asyncio.wait_for(news.wait(), SOON)
            assert set(told) == {"contents"}
            news.clear()
            (names / "b").touch()
            await asyncio.wait_for(news.wait(), SOON)
            assert told[-1] == "names"

    asyncio.run(go())


def test_a_folder_that_comes_back_can_be_watched_again(tmp_path: Path) -> None:
    """As a lab's folder, which goes when the lab ends. A missing one is no error."""

    async def go() -> None:
        folder = tmp_path / "lab"
        news = asyncio.Event()
        async with Growth() as growth:
            growth.watch(folder, news.set)
            folder.mkdir()
            growth.watch(folder, news.set)
            folder.rmdir()
            await asyncio.wait_for(news.wait(), SOON)
            folder.mkdir()
            news.clear()
            while not news.is_set():  # until the end of the old watch has arrived
                growth.watch(folder, news.set)
                (folder / "a").touch()
                (folder / "a").unlink()
                await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(go(), SOON))


def test_one_file_of_a_folder(tmp_path: Path) -> None:
    """Who waits for one name is not woken by another: the folder of all labs changes often."""

    async def go() -> None:
        told: list[str] = []
        news = asyncio.Event()

        def all_of_it() -> None:
            told.append("everything")
            news.set()

        async with Growth() as growth:
            growth.watch(tmp_path, lambda: told.append("mine"), only="mine")
            growth.watch(tmp_path, all_of_it)
            (tmp_path / "other").touch()
            await asyncio.wait_for(news.wait(), SOON)
            assert told == ["everything"]
            news.clear()
            (tmp_path / "mine").touch()
            await asyncio.wait_for(news.wait(), SOON)
            assert told == ["everything", "mine", "everything"]

    asyncio.run(go())


def test_who_has_left_is_told_nothing(tmp_path: Path) -> None:
    async def go() -> None:
        news, other = asyncio.Event(), asyncio.Event()
        async with Growth() as growth:
            growth.watch(tmp_path, other.set)
            growth.watch(tmp_path, news.set)
            growth.leave(tmp_path, other.set)
            growth.leave(tmp_path / "nowhere", other.set)
            (tmp_path / "a").touch()
            await asyncio.wait_for(news.wait(), SOON)
            assert not other.is_set()

    asyncio.run(go())
