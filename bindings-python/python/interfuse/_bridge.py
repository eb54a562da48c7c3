"""From the core's threads to an event loop, without a thread of the core touching the interpreter: results wait in a
queue whose descriptor the loop watches. Loops that watch none get a thread of Python's own that waits instead."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import weakref
from itertools import count
from typing import Protocol

from . import _native


class _Notifies(Protocol):
    def notify(self, queue: _native.Queue, token: int) -> None: ...
    def cancel(self) -> None: ...


_bridges: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Bridge] = weakref.WeakKeyDictionary()
_pumps: set[_Pump] = set()


class Bridge:
    """What one event loop waits for. Holds no reference to the loop; the loop holds it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._queue = _native.Queue()
        self._tokens = count()
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._pump: _Pump | None = None
        try:
            loop.add_reader(self._queue.fileno(), self.settle)
        except (NotImplementedError, AttributeError):  # a loop without, or a system without descriptors for it
            self._pump = _Pump(loop, self._queue, self)

    async def ready(self, what: _Notifies) -> None:
        """Returns when `what` has its result. Cancelling the task cancels `what`."""
        future = asyncio.get_running_loop().create_future()
        token = next(self._tokens)
        self._waiting[token] = future
        what.notify(self._queue, token)
        try:
            await future
        except BaseException:  # cancelled, or the coroutine was closed
            what.cancel()
            raise
        finally:
            self._waiting.pop(token, None)

    def settle(self) -> None:
        """Wakes everyone whose result came; runs in the loop."""
        for token in self._queue.drain():
            future = self._waiting.get(token)
            if future is not None and not future.done():
                future.set_result(None)


def bridge() -> Bridge:
    """The bridge of the running loop."""
    loop = asyncio.get_running_loop()
    found = _bridges.get(loop)
    if found is None:
        found = _bridges[loop] = Bridge(loop)
    return found


class _Pump:
    """Waits for a queue in a thread of its own and tells the loop, as long as there is one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, queue: _native.Queue, owner: Bridge) -> None:
        self._loop = weakref.ref(loop)
        self._queue = queue
        self._owner = weakref.ref(owner)
        self._told = threading.Event()
        self._thread = threading.Thread(target=self._run, name="interfuse-asyncio", daemon=True)
        _pumps.add(self)
        self._thread.start()

    def _run(self) -> None:
        # Now and then it looks whether its loop is still there.
        while self._queue.wait(5.0):
            loop, owner = self._loop(), self._owner()
            if loop is None or owner is None or loop.is_closed():
                break
            self._told.clear()
            try:
                loop.call_soon_threadsafe(self._settle, owner)
            except RuntimeError:  # closed in between
                break
            del loop, owner
            # Until the loop has drained the queue, waiting for it would return at once.
            while not self._told.wait(5.0):
                loop = self._loop()
                if loop is None or loop.is_closed():
                    _pumps.discard(self)
                    return
                del loop
        _pumps.discard(self)

    def _settle(self, owner: Bridge) -> None:
        owner.settle()
        self._told.set()

    def stop(self) -> None:
        """Ends the thread; waits for it, since it must not return to an interpreter that is gone."""
        self._queue.close()
        self._told.set()
        self._thread.join(1.0)


def _at_exit() -> None:
    for pump in list(_pumps):
        pump.stop()


def _after_fork() -> None:
    """A child has none of its parent's loops and threads; what belonged to them is kept, never touched."""
    global _bridges
    _parents.append((_bridges, set(_pumps)))
    _bridges = weakref.WeakKeyDictionary()
    _pumps.clear()


_parents: list[object] = []
atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
