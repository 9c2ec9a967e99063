"""Results of steps in earlier runs on a server, for steps that the server took from its cache.

A step from the cache has no pod, so no log. Where the server does not offer ML Metadata, which knows the
artifacts of all steps, the records of this folder have the result of an equal step:

remote/<run id>/<step key>/log.txt, result.json     what a step of a run printed and reported

An equal step has the same specification, the same parameters and equal steps above it. KFP's own key also
contains what these steps have stored, which cannot be known here: of several records the newest counts, as
for KFP (`backend/src/v2/cacheutils`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from kale_magics.execution.run_store import write_bytes
from kale_magics.execution.signing import is_signed_by_user, sign

RESULT = "result.json"


@dataclass(frozen=True)
class StepRecord:
    """The result of a step in a run on a server.

    Attributes:
        host: The address of the server.
        content: The digest of the step (`pipeline_spec.contents_of`).
        created: When the run was created, in ISO format.
        result: What the step reported at the end of its log.
    """

    host: str
    content: str
    created: str
    result: Mapping[str, Any]


def write_record(folder: Path, record: StepRecord) -> None:
    """Store the result of a step, signed, in the step's folder.

    Raises:
        OSError: The folder cannot be written.
    """
    fields = asdict(record)
    signed = {**fields, "signature": sign(json.dumps(fields, sort_keys=True))}
    write_bytes(folder / RESULT, json.dumps(signed).encode())


def find_record(folder: Path, host: str, content: str, before: datetime) -> tuple[Path, StepRecord] | None:
    """Return the newest record of an equal step, with its folder; None without one.

    Args:
        folder: The folder of the step in its run.
        host: The address of the server.
        content: The digest of the step.
        before: When the run was created; later ones do not count.
    """
    found: list[tuple[datetime, Path, StepRecord]] = []
    for place in sorted(folder.parent.parent.glob(f"*/{folder.name}/{RESULT}")):
        record = _read(place)
        if record is not None and (record.host, record.content) == (host, content):
            created = datetime.fromisoformat(record.created)
            # A server gives whole seconds.
            found += [(created, place.parent, record)] if created <= before else []
    return max(found, key=lambda each: each[0])[1:] if found else None


def _read(place: Path) -> StepRecord | None:
    """Return a record; None if it is damaged, or was not signed by this user."""
    try:
        fields = json.loads(place.read_text(encoding="utf-8"))
        signature = fields.pop("signature")
        if is_signed_by_user(json.dumps(fields, sort_keys=True), signature):
            return StepRecord(**fields)
    except (OSError, ValueError, AttributeError, KeyError):
        pass
    return None
