"""What the teacher's page shows and does."""

from __future__ import annotations

from web.serving import Run, Served, told


def test_the_teacher_sees_all_seats(served: Run) -> None:
    async def test(one: Served) -> None:
        async with one.session.ws_connect(f"{one.teacher}/socket") as socket:
            seats = (await told(socket, "room"))["seats"]
            assert [seat["name"] for seat in seats] == ["hello-1", "hello-2"]
            assert [one.base + seat["link"] for seat in seats] == [one.seat(1), one.seat(2)]
            async with one.session.ws_connect(f"{one.seat(2)}/socket") as page:
                await page.send_json({"type": "from"})
                while (await told(socket, "room"))["seats"][1]["watchers"] != 1:
                    pass

    served(test)


def test_a_message_reaches_every_seat(served: Run) -> None:
    async def test(one: Served) -> None:
        async with (
            one.session.ws_connect(f"{one.teacher}/socket") as teacher,
            one.session.ws_connect(f"{one.seat(2)}/socket") as page,
        ):
            await page.send_json({"type": "from"})
            await teacher.send_json({"type": "say", "seat": "all", "text": "a break <b>now</b>"})
            while (await told(page, "seat"))["message"] != "a break <b>now</b>":
                pass

    served(test)


def test_a_closed_seat_changes_nothing(served: Run) -> None:
    async def test(one: Served) -> None:
        main = {"name": "guests/app/main.c", "text": "int x;"}
        one.there.hubs[0].close(closed=True)
        await one.there.hubs[0].idle()
        async with one.session.put(f"{one.seat()}/files", json=main) as answer:
            assert answer.status == 403
        async with one.session.ws_connect(f"{one.seat()}/socket") as page:
            await page.send_json({"type": "from"})
            await page.send_json({"type": "do", "verb": "up"})
            await page.send_json({"type": "size", "rows": 3, "columns": 4})
            assert (await told(page, "seat"))["closed"]
            assert not one.there.hubs[0].busy
        one.there.hubs[0].close(closed=False)
        async with one.session.put(f"{one.seat()}/files", json=main) as answer:
            assert answer.status == 200

    served(test)


def test_links_to_hand_out(served: Run) -> None:
    """Only the teacher gets them; each has a code."""

    async def test(one: Served) -> None:
        async with one.session.get(f"{one.teacher}/seats") as answer:
            links = [one.base + seat["link"] for seat in await answer.json()]
        assert links == [one.seat(1), one.seat(2)]
        async with one.session.get(f"{one.teacher}/code", params={"text": links[0]}) as answer:
            assert answer.content_type == "image/svg+xml"
            assert 'xmlns="http://www.w3.org/2000/svg"' in await answer.text()
        async with one.session.get(f"{one.teacher}/code", params={"text": "x" * 5000}) as answer:
            assert answer.status == 400
        for what in ("links", "seats", "code"):
            assert await one.status(f"{one.seat()}/{what}") == 404
            assert await one.status(f"{one.base}/t/x/{what}") == 404

    served(test)
