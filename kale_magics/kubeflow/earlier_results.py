"""Results of steps in earlier runs on a server, for steps that the server took from its cache.

A step from the cache has no pod, so no log. Where the server does not offer ML Metadata, which knows the
artifacts of all steps, the records of this folder have the result of an equal step:

remote/<run id>/<step key>/log.txt, result.json     what a step of a run printed and reported

An equal step has the same specification, the same parameters and equal steps above it. KFP's own key also
contains what these steps have stored, which cannot be known here: of several records the newest counts, as
for KFP (`backend/src/v2/driver/cache.go`). A record has a signature, which covers the log.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from kale_magics.execution.run_store import LOG, write_bytes
from kale_magics.execution.signing import is_signed_by_user, sign

RESULT = "result.json"


@dataclass(frozen=True)
class StepRecord:
    """The result of a step in a run on a server.

    Attributes:
        server: The address of the server, and the user's namespace there.
        content: The digest of the step (`pipeline_spec.contents_of`).
        created: When the run was created, in ISO format with a time zone.
        result: What the step reported at the end of its log.
        log: What it printed; in the file, its digest.
        folder: The folder of the step in its run.
    """

    server: str
    content: str
    created: str
    result: Mapping[str, Any]
    log: str
    folder: Path = field(default=Path(), compare=False)


def write_record(record: StepRecord) -> None:
    """Store the result of a step, signed, beside its log.

    Raises:
        OSError: The folder cannot be written.
    """
    fields = {**asdict(record), "log": _digest(record.log)}
    del fields["folder"]
    signed = {**fields, "signature": sign(json.dumps(fields, sort_keys=True))}
    write_bytes(record.folder / RESULT, json.dumps(signed).encode())


def read_record(folder: Path) -> StepRecord | None:
    """Return the record of a step; None if there is none, or it is damaged, or not signed by this user.

    Args:
        folder: The folder of the step in its run.
    """
    try:
        fields = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        signature = fields.pop("signature")
        log = (folder / LOG).read_bytes().decode()
        is_signed = is_signed_by_user(json.dumps(fields, sort_keys=True), signature)
        if is_signed and fields["log"] == _digest(log) and datetime.fromisoformat(fields["created"]).tzinfo:
            return StepRecord(**{**fields, "log": log}, folder=folder)
    except (OSError, ValueError, AttributeError, LookupError, TypeError, RecursionError):
        pass
    return None


def equal_records(folder: Path, server: str, content: str, before: datetime) -> Iterator[StepRecord]:
    """Yield the records of equal steps in other runs, the newest first.

    Args:
        folder: The folder of the step in its run.
        server: As in a record.
        content: The digest of the step; nothing is equal to an empty one.
        before: When the run was created; later ones do not count.
    """
    found: list[tuple[datetime, float, StepRecord]] = []
    for place in folder.parent.parent.glob(f"*/{folder.name}/{RESULT}") if content else ():
        record = read_record(place.parent) if place.parent != folder else None
        if record is not None and (record.server, record.content) == (server, content):
            created = datetime.fromisoformat(record.created)
            # A server gives whole seconds.
            found += [(created, place.stat().st_mtime, record)] if created <= before else []
    yield from (record for *_, record in sorted(found, key=lambda each: each[:2], reverse=True))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
