"""Rows of tables that are slow tests."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def slow_but(quick: Collection[Any], rows: Iterable[Any]) -> list[Any]:
    """The rows as parameters of tests, of which all but some are slow."""
    return [row if row in quick else pytest.param(row, marks=pytest.mark.slow) for row in rows]
