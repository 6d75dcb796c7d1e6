"""Threads that do not keep a campaign that was stopped from ending."""

from __future__ import annotations

import contextlib
import gc
import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["calm", "side_by_side", "start"]


def __dir__() -> list[str]:
    return __all__


T = TypeVar("T")
A = TypeVar("A")


@contextlib.contextmanager
def calm() -> Iterator[None]:
    """Collect no garbage while threads work, but between the starts of two of them.

    Requirements and markers are parsed with `ast`, which counts its depth for all threads
    together: before CPython 3.11.8 and 3.12.2 a collection in the midst of it, that lets another thread
    parse, ends in `SystemError` (https://github.com/python/cpython/issues/106905).
    """
    was_enabled = gc.isenabled()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()


def start(function: Callable[..., T], *arguments: Any) -> Future[T]:
    """Call a function in a thread of its own, which ends with the process at the latest."""
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(function(*arguments))
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            future.set_exception(error)

    if not gc.isenabled():
        gc.collect()
    threading.Thread(target=work, name="nox-envs campaign", daemon=True).start()
    return future


def side_by_side(function: Callable[[A], T], items: Iterable[A], *, at_once: int) -> dict[A, T]:
    """What a function says of each item, several at a time; raises what it raised first."""
    todo: queue.SimpleQueue[A] = queue.SimpleQueue()
    ordered = list(items)
    for item in ordered:
        todo.put(item)

    def work() -> dict[A, T]:
        said: dict[A, T] = {}
        while True:
            try:
                item = todo.get_nowait()
            except queue.Empty:
                return said
            said[item] = function(item)

    found: dict[A, T] = {}
    for future in [start(work) for _ in range(min(at_once, len(ordered)))]:
        found |= future.result()
    return {item: found[item] for item in ordered}
