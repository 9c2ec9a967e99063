"""The file that carries values from step to step, and what is told about it.

    16 bytes   the magic, with the version of the format
    pickles    protocol 5; one a variable, all by one pickler, so that variables may share objects
    buffers    the memory of arrays as it is, each at a multiple of 64 bytes
    table      JSON: the names, and offset and size of every buffer
    16 bytes   the size of the table, little-endian, and the end mark

The buffers are read by a copy-on-write memory map: a large frame is there at once, and changing it does not
change the file.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import platform
import struct
import sys
from collections.abc import Callable
from typing import Any

from kale_magics.step_runtime.arrays import Arrays
from kale_magics.step_runtime.fingerprint import fingerprint_texts, joined_texts
from kale_magics.step_runtime.pickling import (
    Changed,
    Definitions,
    Reader,
    StepError,
    find_culprit,
    make_pickler,
    type_name,
)
from kale_magics.step_runtime.reducers import module_of
from kale_magics.step_runtime.suspects import explain_culprit
from kale_magics.step_runtime.writing import ArtifactFile

MAGIC = b"KALE artifact 1\n"
END = b"KALE end"
ALIGNMENT = 64
"""Bytes: a cache line, and what vector instructions want at most."""

COLUMNS = 50
"""How many columns of a frame the manifest names."""


def save_artifact(
    path: str, values: dict[str, Any], namespace: dict[str, Any], definitions: Definitions, twin: Any = None
) -> dict[str, Any]:
    """Write values to a file; it is there completely or not at all.

    Args:
        path: The file.
        values: The values by name.
        namespace: The globals of the notebook's functions, which are not written with them.
        definitions: What is not written because the reader has it.
        twin: Path and SHA-256 of an artifact that may have the same content; then the file is a link to it.

    Returns:
        The manifest: what is in the file, as KFP's metadata takes it (no null in it).

    Raises:
        StepError: A value cannot be pickled, or the file cannot be written.
    """
    part = path + ".part"
    fingerprints = joined_texts(fingerprint_texts(values))  # before pickling, which may run code of theirs
    try:
        with ArtifactFile(part, twin) as file:
            sizes = write_values(file, values, namespace, definitions)
            digest = file.finish()
        os.replace(part, path)
    except OSError as error:
        reason = error.strerror or error
        message = f"{', '.join(values)} cannot be written to {path}: {reason}"
        raise StepError(message, "KALE302", "make room there, or hand on less") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(part)
    return {
        "format": MAGIC.decode().strip(),
        "python": platform.python_version(),
        "bytes": os.path.getsize(path),
        "sha256": digest,
        "values": {name: {**describe(value), "bytes": sizes[name]} for name, value in values.items()},
        "fingerprints": fingerprints,
    }


def write_values(
    file: ArtifactFile, values: dict[str, Any], namespace: dict[str, Any], definitions: Definitions
) -> dict[str, int]:
    """Write the content of an artifact, and say how many bytes each value added."""
    torn: frozenset[int] = frozenset()
    while True:
        arrays = Arrays(torn)
        buffers: list[memoryview] = []
        sizes = write_pickles(file, values, namespace, definitions, arrays, buffers)
        if arrays.torn() <= torn:
            break
        torn |= arrays.torn()
        file.restart()
    places = []
    for buffer in buffers:
        file.write(bytes(-file.tell() % ALIGNMENT))
        places.append((file.tell(), buffer.nbytes))
        file.write(buffer)
    table = json.dumps({"names": list(values), "buffers": places}).encode()
    file.write(table + struct.pack("<Q", len(table)) + END)
    return sizes


def write_pickles(
    file: ArtifactFile,
    values: dict[str, Any],
    namespace: dict[str, Any],
    definitions: Definitions,
    arrays: Arrays,
    buffers: list[memoryview],
) -> dict[str, int]:
    """Write the values, gather their buffers, and say how many bytes each value added."""
    pickler = make_pickler(file, namespace, definitions, lambda buffer: buffers.append(buffer.raw()), arrays)
    file.write(MAGIC)
    sizes = {}
    for name, value in values.items():
        identity = definitions.identities.get(id(value))
        written = value if identity is None else Changed(value, identity, definitions)
        start, first = file.tell(), len(buffers)
        try:
            pickler.dump(written)
        except OSError:
            raise
        except Exception as error:  # a user's own __reduce__ may raise anything
            raise cannot_cross(name, written, error, namespace, definitions) from error
        sizes[name] = file.tell() - start + sum(buffer.nbytes for buffer in buffers[first:])
    return sizes


def cannot_cross(
    name: str, value: Any, error: Exception, namespace: dict[str, Any], definitions: Definitions
) -> StepError:
    """The refusal of a value that cannot be pickled, with the part of it that is to blame."""
    path, culprit, error = find_culprit(value, name, namespace, definitions) or (name, value, error)
    known = value.definition if isinstance(value, Changed) else value
    kind = "" if culprit is value else f" (a {type_name(known)})"
    reason = f"{type(error).__name__}: {error}"
    what, fix = explain_culprit(type_name(culprit), reason, "the step that uses it")
    return StepError(f"{name}{kind} cannot go to another step: {path} is {what}", "KALE208", fix)


def load_artifact(path: str, namespace: dict[str, Any], resolve: Callable[[str], Any]) -> dict[str, Any]:
    """Read the values of a file.

    Args:
        path: What `save_artifact` wrote.
        namespace: The globals of the functions that are in it, and where names of `__main__` are found.
        resolve: Gives the definition of an identity.

    Returns:
        The values by name.

    Raises:
        StepError: The file is missing or damaged.
        Exception: What the values themselves raise when they are loaded.
    """
    try:
        with open(path, "rb") as file:
            table = read_table(file, path)
            memory = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
            buffers = [memory[offset : offset + size] for offset, size in table["buffers"]]
            file.seek(len(MAGIC))
            reader = Reader(file, buffers, namespace, resolve)
            return {name: reader.load() for name in table["names"]}
    except FileNotFoundError as error:
        if error.filename != path:
            raise
        raise StepError(f"the artifact {path} is not there") from error


def read_table(file: Any, path: str) -> Any:
    """The table at the end of an artifact.

    Raises:
        StepError: The file is no artifact, or not all of one.
    """
    start, size = file.read(len(MAGIC)), file.seek(0, os.SEEK_END)
    if start and start != MAGIC[: len(start)]:
        raise StepError(f"{path} is not an artifact of this version ({MAGIC.decode().strip()})")
    file.seek(max(0, size - 8 - len(END)))
    tail = file.read()
    length = struct.unpack("<Q", tail[:8])[0] if tail[8:] == END else size
    if length > size - len(MAGIC) - len(tail):
        raise StepError(f"the artifact {path} is damaged: it does not end as it should")
    file.seek(size - len(tail) - length)
    return json.loads(file.read(length))


def describe(value: Any) -> dict[str, Any]:
    """What a manifest says about a value: type, version of its library, shape and columns."""
    library = module_of(type(value)).partition(".")[0]
    version = getattr(sys.modules.get(library), "__version__", None)
    known = f"{library} {version}" if isinstance(version, str) else ""
    about: dict[str, Any] = {"type": type_name(value), "library": known}
    # An object's attributes may be computed, and raise anything.
    with contextlib.suppress(Exception):
        if isinstance(value.shape, tuple):
            about["shape"] = [int(size) for size in value.shape]
    with contextlib.suppress(Exception):
        if "shape" in about:
            about["columns"] = [str(column) for column in value.columns[:COLUMNS]]
    return about
