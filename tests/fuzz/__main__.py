"""`python -m tests.fuzz 1000`: hunt, and print the failing notebooks, made small."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from multiprocessing.pool import Pool
from typing import TypeVar

from tests.fuzz.grammar import LEVELS
from tests.fuzz.hunt import Outcome, play, told
from tests.fuzz.runs import warm_up

Item = TypeVar("Item")

ALIKE = 3
"""Failures of one symptom that are made small."""

PAUSE = 10
"""Seconds between two lines of progress."""


def main() -> int:
    """Hunt as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Hunt for wrong answers.")
    parser.add_argument("number", type=int, nargs="?", default=1000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--level", choices=("mixed", *LEVELS), default="mixed")
    asked = parser.parse_args()
    levels = list(LEVELS) if asked.level == "mixed" else [asked.level]
    tasks = [(f"{asked.seed}/{i}", levels[i % len(levels)]) for i in range(asked.number)]
    with multiprocessing.get_context("fork").Pool(
        os.cpu_count(), initializer=warm_up, initargs=(levels,)
    ) as pool:
        counts, failures = hunt(pool, tasks)
    for kind, count in sorted(counts.items()):
        print(f"{count:7} {kind}")
    print(f"{failures:7} notebooks fail; again with: make fuzz N={asked.number} SEED={asked.seed}", end="")
    print(f" LEVEL={asked.level}")
    return 1 if failures else 0


def hunt(pool: Pool, tasks: list[tuple[str, str]]) -> tuple[Counter[str], int]:
    """Play notebooks, and print some failures of every symptom.

    Args:
        pool: Processes to do so.
        tasks: For each notebook, what its random numbers start from, and the level of its grammar.

    Returns:
        How often each verdict came, and how many notebooks failed.
    """
    counts: Counter[str] = Counter()
    failures: dict[str, list[Outcome]] = {}
    for outcome in progress(pool.imap(_play, tasks), "notebooks", len(tasks)):
        counts.update(f"{verdict.way}: {verdict.kind}" for verdict in outcome.verdicts)
        if outcome.found is not None:
            failures.setdefault(outcome.symptom, []).append(outcome)
    chosen = [outcome for alike in failures.values() for outcome in alike[:ALIKE]]
    seen: set[str] = set()
    for text in progress(pool.imap_unordered(told, chosen), "failures made small", len(chosen)):
        if text not in seen:
            print(text, flush=True)
        seen.add(text)
    return counts, sum(outcome.fault is not None for alike in failures.values() for outcome in alike)


def _play(task: tuple[str, str]) -> Outcome:
    return play(*task)


def progress(items: Iterable[Item], what: str, number: int) -> Iterator[Item]:
    """Tell on stderr, now and then, how many of the items have come."""
    last = time.monotonic()
    for count, item in enumerate(items, 1):
        if time.monotonic() - last > PAUSE:
            last = time.monotonic()
            print(f"{count} of {number} {what}", file=sys.stderr, flush=True)
        yield item


if __name__ == "__main__":
    sys.exit(main())
