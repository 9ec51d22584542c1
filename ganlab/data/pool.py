"""Work on many files with a few threads, results in order, never more than a few chunks in flight."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNK = 16
"""Items of one task: starting a task costs about as much as decoding one small image."""


def default_workers() -> int:
    """Threads for decoding: one for each usable core, at most eight."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, usable))


def ordered_map(
    work: Callable[[Item], Result], items: Sequence[Item], workers: int | None = None
) -> Iterator[Result]:
    """``map(work, items)`` by threads: the same results in the same order, whatever the number of threads.

    Pillow and zlib release the interpreter lock while they decode. At most two chunks per thread are
    waiting, so memory does not grow with the number of items.
    """
    threads = workers or default_workers()
    chunks = (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))
    if threads == 1 or len(items) <= CHUNK:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from _in_order(pool, work, chunks, 2 * threads)


def _in_order(
    pool: ThreadPoolExecutor,
    work: Callable[[Item], Result],
    chunks: Iterator[Sequence[Item]],
    ahead: int,
) -> Iterator[Result]:
    """Results of the chunks in order, ``ahead`` chunks submitted before the first is waited for."""
    waiting: deque[Future[list[Result]]] = deque()
    try:
        for chunk in chunks:
            waiting.append(pool.submit(lambda part: [work(item) for item in part], chunk))
            if len(waiting) > ahead:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
