"""Parity runner of the Python package: ``runner.py OP CONFIG_JSON REQUEST_JSON [CANCEL_AFTER_MS]``, JSON lines on stdout.

``runner.py calls CONFIG_JSON CALLS_JSON`` makes calls one after another through one client. ``RUNNER_ASYNC=1`` sends all of it through ``AsyncClient`` in place of ``Client``.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import interfuse


def show(**line: object) -> None:
    print(json.dumps(line), flush=True)


def settled(client: interfuse.Client | interfuse.AsyncClient) -> object:
    """Where the budgets stand, once nothing is under way any more."""
    while any(budget.held_nanos for budget in client.budgets()):
        time.sleep(0.01)
    return client.budgets()


def ledger(client: interfuse.Client | interfuse.AsyncClient, asked: dict[str, Any]) -> object:
    """What the ledger says of a chat that was made."""
    query = {name.removesuffix("_ms"): value for name, value in asked["query"].items()}
    of = {name: value for name, value in query.items() if name not in ("by", "latencies")}
    out = io.StringIO()
    client.ledger.export(out, asked["export"]["format"], by=asked["export"]["query"].get("by", ()))
    records = list(client.records(**of))
    return {"usage": client.usage(**query).to_dict(), "records": records, "export": json.loads(out.getvalue())}


def reconcile(client: interfuse.Client | interfuse.AsyncClient, asked: dict[str, Any]) -> object:
    """Why vendors' reports differ from the ledger."""
    reports = [(file["name"], file["content"].encode()) for file in asked["files"]]
    return client.reconcile(*reports, **asked["options"]).to_dict()


def batch(client: interfuse.Client, asked: dict[str, Any]) -> interfuse.Batch:
    """The batch, with what is common given as arguments."""
    options = {**asked["options"]}
    return client.batch(asked["requests"], progress=False, **options.pop("common", {}), **options)


def rows(client: interfuse.Client, asked: dict[str, Any]) -> object:
    """Shows the rows of a batch; gives its report."""
    with batch(client, asked) as found:
        for row in found:
            show(event=row)
    return found.report


def async_batch(client: interfuse.AsyncClient, asked: dict[str, Any]) -> interfuse.AsyncBatch:
    """The same, whose requests come from an async generator."""

    async def requests() -> AsyncIterator[Any]:
        for request in asked["requests"]:
            yield request

    options = {**asked["options"]}
    return client.batch(requests(), progress=False, **options.pop("common", {}), **options)


async def async_rows(client: interfuse.AsyncClient, asked: dict[str, Any]) -> object:
    """Shows the rows of a batch; gives its report."""
    async with async_batch(client, asked) as found:
        async for row in found:
            show(event=row)
    return found.report


def blocking(op: str, client: interfuse.Client, request: dict[str, Any], cancel_after: float | None) -> object:
    if op == "explain":
        return client.explain(**request)
    if op == "estimate":
        return client.estimate(**request)
    if op == "reconcile":
        return reconcile(client, request)
    if op == "budgets":
        # A stream that is left after its first chunk.
        with client.chat.completions.create(stream=True, **request) as left:
            next(iter(left))
        return settled(client)
    if op == "fuse_html":
        return client.fuse(**request).to_html()
    if op == "ledger":
        client.chat.completions.create(**request["chat"])
        return ledger(client, request)
    if op == "feedback":
        client.feedback(request.get("run_id", client.fuse(**request["fuse"]).id), **request["outcome"])
        return interfuse.Client(json.loads(sys.argv[2])).fuse(**request["fuse"])
    if op in ("rejudge", "replay"):
        report = request.get("report") or client.fuse(**request["fuse"]).report
        return interfuse.replay(report) if op == "replay" else client.rejudge(report, **request["again"])
    if op == "calibrate":
        return interfuse.calibrate(request)  # type: ignore[arg-type]
    if op == "evaluate_again":
        with client.evaluate(stream=True, **request) as events:
            next(event for event in events if event.type == "progress" and event.done)
        return client.evaluate(**request)
    if op == "batch_again":
        with batch(client, request) as left:
            next(left)
        return rows(client, request)
    if op in ("chat", "embeddings", "fuse", "evaluate", "batch"):
        once: dict[str, Callable[..., object]] = {
            "chat": client.chat.completions.create,
            "embeddings": client.embeddings.create,
            "fuse": client.fuse,
            "evaluate": client.evaluate,
            "batch": lambda **asked: rows(client, asked),
        }
        # A person cancels a blocking call with Ctrl-C.
        timer = threading.Timer(cancel_after or 0, os.kill, (os.getpid(), signal.SIGINT))
        if cancel_after is not None:
            timer.start()
        try:
            return once[op](**request)
        except KeyboardInterrupt:
            raise interfuse.CallCancelledError("Ctrl-C") from None
        finally:
            timer.cancel()
    chunks = op == "chat_stream"
    streamed: dict[str, Callable[..., Any]] = {
        "chat_stream": client.chat.completions.create,
        "fuse_stream": client.fuse,
        "evaluate_stream": client.evaluate,
    }
    stream: interfuse.Stream[Any] = streamed[op](stream=True, **request)
    # A program cancels a stream by closing it, from any thread.
    timer = threading.Timer(cancel_after or 0, stream.close)
    if cancel_after is not None:
        timer.start()
    try:
        for item in stream:
            show(**{"chunk" if chunks else "event": item})
    finally:
        timer.cancel()
    return None


async def waiting(op: str, client: interfuse.AsyncClient, request: dict[str, Any]) -> object:
    if op == "chat":
        return await client.chat.completions.create(**request)
    if op == "embeddings":
        return await client.embeddings.create(**request)
    if op == "fuse":
        return await client.fuse(**request)
    if op == "evaluate":
        return await client.evaluate(**request)
    if op == "feedback":
        fused = await client.fuse(**request["fuse"])
        await client.feedback(request.get("run_id", fused.id), **request["outcome"])
        return await interfuse.AsyncClient(json.loads(sys.argv[2])).fuse(**request["fuse"])
    if op in ("rejudge", "replay"):
        report = request.get("report") or (await client.fuse(**request["fuse"])).report
        return interfuse.replay(report) if op == "replay" else await client.rejudge(report, **request["again"])
    if op == "calibrate":
        return interfuse.calibrate(request)  # type: ignore[arg-type]
    if op == "evaluate_again":
        async with await client.evaluate(stream=True, **request) as events:
            async for event in events:
                if event.type == "progress" and event.done:
                    break
        return await client.evaluate(**request)
    if op == "batch":
        return await async_rows(client, request)
    if op == "batch_again":
        async with async_batch(client, request) as first:
            await anext(first)
        return await async_rows(client, request)
    if op == "explain":
        return client.explain(**request)
    if op == "estimate":
        return client.estimate(**request)
    if op == "reconcile":
        return reconcile(client, request)
    if op == "budgets":
        async with await client.chat.completions.create(stream=True, **request) as left:
            await anext(aiter(left))
        return settled(client)
    if op == "fuse_html":
        return (await client.fuse(**request)).to_html()
    if op == "ledger":
        await client.chat.completions.create(**request["chat"])
        return ledger(client, request)
    chunks = op == "chat_stream"
    streamed: dict[str, Callable[..., Any]] = {
        "chat_stream": client.chat.completions.create,
        "fuse_stream": client.fuse,
        "evaluate_stream": client.evaluate,
    }
    stream: interfuse.AsyncStream[Any] = await streamed[op](stream=True, **request)
    async for item in stream:
        show(**{"chunk" if chunks else "event": item})
    return None


class Times:
    """When calls start and end, in milliseconds since the first could."""

    def __init__(self) -> None:
        self.start = time.monotonic()

    def now(self) -> int:
        return round((time.monotonic() - self.start) * 1000)

    def until(self, at_ms: int) -> float:
        return max(0, at_ms - self.now()) / 1000


def calls(client: interfuse.Client, made: list[dict[str, Any]]) -> object:
    """Makes each call at its time, or when the one before it has ended; gives what the ledger says of them all."""
    times = Times()
    for call in made:
        time.sleep(times.until(call["at_ms"]))
        started = times.now()
        tell(lambda call=call: blocking(call["op"], client, call["request"], None))
        show(made={"started_ms": started, "ended_ms": times.now()})
    return client.usage(by=["provider"]).to_dict()


async def calls_waiting(client: interfuse.AsyncClient, made: list[dict[str, Any]]) -> object:
    times = Times()
    for call in made:
        await asyncio.sleep(times.until(call["at_ms"]))
        started = times.now()
        try:
            show(result=await waiting(call["op"], client, call["request"]))
        except interfuse.InterfuseError as e:
            show(error=told(e))
        show(made={"started_ms": started, "ended_ms": times.now()})
    return client.usage(by=["provider"]).to_dict()


def run(op: str, config: dict[str, Any], request: Any, cancel_after: float | None) -> object:
    if op == "client":
        interfuse.Client(config)
        return None
    if os.environ.get("RUNNER_ASYNC") != "1":
        client = interfuse.Client(config)
        return calls(client, request) if op == "calls" else blocking(op, client, request, cancel_after)

    async def main() -> object:
        if op == "calls":
            return await calls_waiting(interfuse.AsyncClient(config), request)
        task = asyncio.ensure_future(waiting(op, interfuse.AsyncClient(config), request))
        if cancel_after is not None:
            asyncio.get_running_loop().call_later(cancel_after, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            raise interfuse.CallCancelledError("the task was cancelled") from None

    return asyncio.run(main())


def told(error: interfuse.InterfuseError) -> dict[str, object]:
    """The error's public attributes, under the names all languages share."""
    names = "kind message retryable provider model status code param request_id body attempts partial members"
    shown = {name: getattr(error, name) for name in names.split()}
    if error.retry_after is not None:
        shown["retry_after_ms"] = round(error.retry_after * 1000)
    return shown


def tell(call: Callable[[], object]) -> None:
    try:
        result = call()
    except interfuse.InterfuseError as e:
        show(error=told(e))
    else:
        show(result=result)


def main() -> None:
    # A runner started in the background would otherwise ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    op, config, request = sys.argv[1:4]
    cancel_after = float(sys.argv[4]) / 1000 if len(sys.argv) > 4 else None
    tell(lambda: run(op, json.loads(config), json.loads(request) or {}, cancel_after))


main()
