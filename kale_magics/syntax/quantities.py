"""Numbers of cores and sizes of memory, in Kubernetes' notation."""

from __future__ import annotations

import re
from decimal import Decimal

from kale_magics.model.diagnostics import Code, Where, kale_error

_CPU = re.compile(r"(?P<number>\d+(\.\d+)?|\.\d+)(?P<unit>m?)")
_LIKE_CPU = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>m(illi)?)?\s*(v?cpus?|cores?)?", re.IGNORECASE)
_MEMORY = re.compile(r"(?P<number>\d+)(?P<unit>[EPTGMK]i?|)")
_LIKE_MEMORY = re.compile(
    r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>[eptgmk])?(?P<binary>i)?b?(ytes)?", re.IGNORECASE
)
_STEPS = "KMGTPE"
MIN_SIZE = 2**20
"""Bytes of memory, or of a volume: a smaller size probably lacks its unit."""

MIN_MEGABYTES = 128
"""A smaller number without a unit probably means gigabytes, a larger one megabytes."""


def cores(text: str, where: Where | None) -> Decimal:
    """Parse a number of cores."""
    match = _CPU.fullmatch(text)
    if match is None or not Decimal(match["number"]):
        like = _LIKE_CPU.fullmatch(text.strip())
        meant = ""
        if like and Decimal(like["number"]):
            meant = f"did you mean {like['number']}{'m' if like['unit'] else ''}? "
        fix = f"{meant}2 is two cores, 500m is half a core"
        raise kale_error(Code.BAD_STEP_OPTION, f"--cpu takes a number of cores, not {text!r}", fix, where)
    return Decimal(match["number"]) / (1000 if match["unit"] else 1)


def memory(text: str, where: Where | None) -> Decimal:
    """Parse a size of memory in bytes."""
    return size("--memory", text, where)


def size(what: str, text: str, where: Where | None) -> Decimal:
    """Parse a size in Kubernetes' notation, in bytes.

    Args:
        what: The option or setting.
        text: As typed.
        where: The place of the line, for errors.

    Raises:
        KaleError: It is not a size, or too small to be intended.
    """
    match = _MEMORY.fullmatch(text)
    found = Decimal(match["number"]) * _size(match["unit"]) if match else Decimal(0)
    if found < MIN_SIZE:
        fix = "write it as in 4G (billions of bytes) or 4Gi (2^30 bytes)"
        guess = _memory_meant(text)
        message = f"{what} takes a number of bytes with a unit, not {text!r}"
        if match and match["unit"] and found:
            message = f"{what} is less than 1Mi: {text}"
        raise kale_error(
            Code.BAD_STEP_OPTION, message, f"did you mean {guess}? {fix}" if guess else fix, where
        )
    return found


def _size(unit: str) -> int:
    return (1024 if unit.endswith("i") else 1000) ** (_STEPS.index(unit[0]) + 1) if unit else 1


def _memory_meant(text: str) -> str:
    """Return a size in Kubernetes' notation, without fractions, which KFP rejects; may be empty."""
    match = _LIKE_MEMORY.fullmatch(text.strip())
    if match is None or not Decimal(match["number"]):
        return ""
    unit = (match["unit"] or "").upper() + ("i" if match["unit"] and match["binary"] else "")
    number = Decimal(match["number"])
    if not unit and number < MIN_SIZE:
        # 4 probably means gigabytes, 4096 megabytes.
        unit = "Gi" if number < MIN_MEGABYTES else "Mi"
        number = number if number < MIN_MEGABYTES * 1024 else Decimal(0)
    while number % 1 and unit:
        step = _STEPS.index(unit[0])
        number *= 1024 if unit.endswith("i") else 1000
        unit = (_STEPS[step - 1] + unit[1:]) if step else ""
    return f"{int(number)}{unit}" if int(number) * _size(unit) >= MIN_SIZE else ""
