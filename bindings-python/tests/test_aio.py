"""The asyncio client: answers, streams, cancelling, several loops, and loops that cannot watch a descriptor."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest
import uvloop
from conftest import HI, Start, answers, never, run_python, stalls

import interfuse
from interfuse import _bridge


class NoReader(asyncio.SelectorEventLoop):
    """A loop that can watch no descriptor, as on Windows."""

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> Any:  # type: ignore[override]
        raise NotImplementedError


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop, NoReader], ids=["eventfd", "uvloop", "pump"])
def runner(request: pytest.FixtureRequest) -> Any:
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner


def test_answers_at_the_same_time(start: Start, runner: asyncio.Runner) -> None:
    up = start(*(answers(f"m-{i}", f"answer {i}") for i in range(50)))

    async def main() -> None:
        async with interfuse.AsyncClient(up.config) as client:
            for _ in range(3):
                calls = (client.chat.completions.create(model=f"up/m-{i}", messages=HI) for i in range(50))
                got = await asyncio.gather(*calls)
                assert [r.choices[0].message.content for r in got] == [f"answer {i}" for i in range(50)]

    runner.run(main())


def test_stream(start: Start, runner: asyncio.Runner) -> None:
    up = start(answers("m-a", "In Bern of course.", chunk_delay_ms=5), {"when": {}, "then": {"status": 401}})

    async def main() -> None:
        client = interfuse.AsyncClient(up.config)
        text = ""
        async for chunk in await client.chat(model="up/m-a", messages=HI, stream=True):
            text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
        assert text == "In Bern of course."
        with pytest.raises(interfuse.AuthenticationError):
            await client.chat(model="up/m-b", messages=HI, stream=True)

    runner.run(main())


def test_half_read_stream_closes_its_socket(start: Start) -> None:
    up = start(stalls("m-a", "In "))

    async def main() -> None:
        client = interfuse.AsyncClient(up.config)
        async with await client.chat(model="up/m-a", messages=HI, stream=True) as stream:
            assert (await anext(stream)).choices[0].delta.content == "In "
        with pytest.raises(interfuse.CallCancelledError):
            await anext(stream)

    asyncio.run(main())
    assert up.settled()[0]["client_closed_ms"] is not None


def test_cancelled_task_closes_its_socket(start: Start, runner: asyncio.Runner) -> None:
    up = start(never("m-a"), stalls("m-b", "In "))

    async def main() -> None:
        client = interfuse.AsyncClient(up.config)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.chat(model="up/m-a", messages=HI), 0.2)

        task = asyncio.ensure_future(client.chat(model="up/m-a", messages=HI))
        while not up.arrived(2):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        stream = await client.chat(model="up/m-b", messages=HI, stream=True)
        await anext(stream)
        waiting = asyncio.ensure_future(stream.__anext__())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    runner.run(main())
    log = up.settled()
    assert len(log) == 3 and all(request["client_closed_ms"] is not None for request in log)


def test_one_client_in_several_loops(start: Start) -> None:
    up = start(answers("m-a", "In Bern."))
    client = interfuse.AsyncClient(up.config)

    async def ask() -> str | None:
        return (await client.chat(model="up/m-a", messages=HI)).choices[0].message.content

    got = [asyncio.run(ask()), asyncio.run(ask())]
    threads = [threading.Thread(target=lambda: got.append(asyncio.run(ask()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == ["In Bern."] * 6
    gc.collect()
    assert len(_bridge._bridges) == 0, "a loop that is gone leaves nothing behind"


def test_result_after_the_loop_was_closed(start: Start) -> None:
    up = start(answers("m-a", "late", delay_ms=100), answers("m-b", "In Bern."))
    client = interfuse.AsyncClient(up.config)
    for factory in (asyncio.new_event_loop, uvloop.new_event_loop, NoReader):
        loop = factory()
        task = loop.create_task(client.chat(model="up/m-a", messages=HI))
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()
        up.settled()
        del task
    # A task that is destroyed while it waits complains through the loop's handler; nothing else may happen.
    gc.collect()
    assert asyncio.run(client.chat(model="up/m-b", messages=HI)).choices[0].message.content == "In Bern."


def test_errors_are_raised_where_they_are_awaited(start: Start) -> None:
    up = start({"when": {}, "then": {"status": 404, "json": {"error": {"message": "no such model"}}}})

    async def main() -> None:
        client = interfuse.AsyncClient(up.config)
        with pytest.raises(interfuse.NotFoundError):
            await client.chat(model="up/m-a", messages=HI)
        with pytest.raises(interfuse.BadRequestError):
            await client.chat(model="up/m-a", messages=3)  # type: ignore[call-overload]

    asyncio.run(main())


@pytest.mark.parametrize("loop", ["None", "NoReader"])
def test_process_ends_with_calls_in_flight(start: Start, loop: str) -> None:
    up = start(never("m-a"))
    done = run_python(
        "import asyncio, interfuse, json, sys\n"
        "class NoReader(asyncio.SelectorEventLoop):\n"
        "    def add_reader(self, *a): raise NotImplementedError\n"
        "async def main():\n"
        "    client = interfuse.AsyncClient(json.loads(sys.argv[1]))\n"
        "    for _ in range(20): asyncio.ensure_future(client.chat(model='up/m-a', messages=[]))\n"
        "    await asyncio.sleep(0.3)\n"
        f"runner = asyncio.Runner(loop_factory={loop}); runner.get_loop().run_until_complete(main())\n"
        "print('end'); sys.stdout.flush()",
        __import__("json").dumps(up.config),
    )
    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr


def test_closing_may_be_awaited(start: Start) -> None:
    up = start(answers("m-a", "In Bern."))

    async def main() -> None:
        client = interfuse.AsyncClient(up.config)
        assert [model async for model in client.models.list()] == await client.models.list()
        raw = await client.chat.completions.with_raw_response.create(model="up/m-a", messages=HI)
        assert raw.parse().choices[0].message.content == "In Bern."
        await client.close()
        with pytest.raises(interfuse.MisuseError):
            await client.chat(model="up/m-a", messages=HI)
        interfuse.AsyncClient(up.config).close()

    asyncio.run(main())
