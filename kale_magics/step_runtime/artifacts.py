"""The file that carries values between steps, and its manifest.

    16 bytes   the magic, with the version of the format
    pickles    protocol 5; one for each variable, all by one pickler, so that variables may share objects;
               more for deep nesting (`depth`), and at the end one for globals of functions (`helpers`)
    buffers    the memory of arrays, each at a multiple of 64 bytes
    table      JSON: the names, offset and size of every buffer, the number of pickles before and after those
               of names that have more, and whether there is one of helpers
    16 bytes   the size of the table, little-endian, and the end mark

The buffers are read by a copy-on-write memory map: a large frame is available at once, and changing it does
not change the file.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import platform
import struct
import sys
from collections.abc import Callable
from typing import Any

from kale_magics.step_runtime.arrays import Arrays
from kale_magics.step_runtime.artifact_file import ArtifactFile
from kale_magics.step_runtime.depth import DeferredStates, dump_nested, is_too_deep
from kale_magics.step_runtime.fingerprint import fingerprint_texts, join_texts
from kale_magics.step_runtime.helpers import Helpers
from kale_magics.step_runtime.nans import NAN_BYTES, Nans
from kale_magics.step_runtime.pickling import (
    ChangedDefinition,
    Definitions,
    Reader,
    StepError,
    find_unpicklable,
    make_pickler,
    type_name,
)
from kale_magics.step_runtime.reducers import module_of
from kale_magics.step_runtime.unpatched import from_json, to_json
from kale_magics.step_runtime.unpicklable import explain_unpicklable

MAGIC = b"KALE artifact 1\n"
END = b"KALE end"
ALIGNMENT = 64
"""Bytes: a cache line, and the largest alignment that vector instructions need."""

MAX_COLUMNS = 50
"""Columns of a frame that the manifest names."""


def save_artifact(
    path: str,
    values: dict[str, Any],
    namespace: dict[str, Any],
    definitions: Definitions,
    existing: Any = None,
    helpers: Helpers | None = None,
) -> dict[str, Any]:
    """Write values to a file, either completely or not at all.

    Args:
        path: The file.
        values: The values by name.
        namespace: The globals of the notebook's functions, which are not written with them.
        definitions: What is not written because the reader has it.
        existing: Path, SHA-256 and fingerprints of an artifact that may have the same content; then the file
            is a link to it.
        helpers: Collects the definitions that are written; None if their globals are not needed.

    Returns:
        The manifest: the content of the file in the form of KFP's metadata (no null in it).

    Raises:
        StepError: A value cannot be pickled, or the file cannot be written.
    """
    part = path + ".part"
    # Before pickling, which may run the user's code; an unchanged artifact need not be read at all.
    fingerprints = (existing[2] if existing else "") or join_texts(fingerprint_texts(values))
    try:
        with ArtifactFile(part, existing[:2] if existing else None) as file:
            sizes = write_values(file, values, namespace, definitions, helpers)
            digest = file.finish()
        os.replace(part, path)
        if existing and existing[2] and digest != existing[1]:  # it has changed
            fingerprints = join_texts(fingerprint_texts(values))
    except OSError as error:
        reason = error.strerror or error
        message = f"{', '.join(values)} cannot be written to {path}: {reason}"
        raise StepError(message, "KALE302", "free some space there, or output less") from error
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
    file: ArtifactFile,
    values: dict[str, Any],
    namespace: dict[str, Any],
    definitions: Definitions,
    helpers: Helpers | None = None,
) -> dict[str, int]:
    """Write the content of an artifact; return how many bytes each value added."""
    split: frozenset[int] = frozenset()
    deep = nans = False
    while True:
        pickles = Pickles(file, namespace, definitions, split, deep, helpers, nans)
        try:
            sizes = pickles.write_all(values)
        except TooDeepError:
            deep = True
        else:
            if pickles.arrays.split_arrays() <= split and nans == pickles.has_nans:
                break
            split, nans = split | pickles.arrays.split_arrays(), pickles.has_nans
        file.restart()
    places = []
    for buffer in pickles.buffers:
        file.write(bytes(-file.size % ALIGNMENT))
        places.append((file.size, buffer.nbytes))
        file.write(buffer)
    about = {"names": list(values), "buffers": places, "more": pickles.more, "helpers": pickles.has_helpers}
    table = to_json(about).encode()
    file.write(table + struct.pack("<Q", len(table)) + END)
    return sizes


class TooDeepError(Exception):
    """A value is nested too deeply for one pickle."""


class Pickles:
    """Writes the pickles of an artifact.

    Args:
        file: The file to write to.
        namespace: The globals of the notebook's functions.
        definitions: What is not written because the reader has it.
        split: Arrays that are written whole.
        deep: Whether values are nested so deeply that they need several pickles.
        helpers: Collects the definitions that are written; None if their globals are not needed.
        nans: Whether values contain NaNs.

    Attributes:
        arrays: How arrays were written.
        buffers: The memory of arrays, to be written after the pickles.
        more: By name: how many pickles come before and after a variable's own.
        has_helpers: Whether the last pickle has the globals of functions.
        has_nans: Whether there is a NaN in a value.
    """

    def __init__(
        self,
        file: ArtifactFile,
        namespace: dict[str, Any],
        definitions: Definitions,
        split: frozenset[int],
        deep: bool,
        helpers: Helpers | None,
        nans: bool,
    ) -> None:
        self.file, self.namespace, self.definitions = file, namespace, definitions
        self.has_nans = nans
        self.arrays, self.deferred = Arrays(split), DeferredStates() if deep else None
        self.helpers = helpers
        self.buffers: list[memoryview] = []
        self.more: dict[str, tuple[int, int]] = {}
        self.has_helpers = False

    def write_all(self, values: dict[str, Any]) -> dict[str, int]:
        """Write the values and collect their buffers; return how many bytes each value added.

        Raises:
            TooDeepError: A value needs several pickles.
            StepError: A value cannot be pickled.
        """
        file, take = self.file, lambda buffer: self.buffers.append(buffer.raw())
        known = self.namespace, self.definitions, take, self.arrays, self.deferred, self.helpers
        pickler = make_pickler(self, *known, nans=Nans() if self.has_nans else None)
        file.write(MAGIC)
        sizes = {}
        for name, value in values.items():
            identity = self.definitions.identities.get(id(value))
            written = value if identity is None else ChangedDefinition(value, identity, self.definitions)
            start, first = file.size, len(self.buffers)
            self.write_one(pickler, name, written)
            sizes[name] = file.size - start + sum(buffer.nbytes for buffer in self.buffers[first:])
        self.write_helpers(pickler)
        return sizes

    def write(self, data: Any) -> int:
        """Write a chunk of a pickle."""
        self.has_nans = self.has_nans or (isinstance(data, bytes) and NAN_BYTES in data)
        return self.file.write(data)

    def write_one(self, pickler: Any, name: str, written: Any) -> None:
        """Write a value."""
        try:
            if self.deferred is None:
                pickler.dump(written)
            else:
                self.more[name] = dump_nested(pickler, written, self.deferred)
        except OSError:
            raise
        except Exception as error:  # a user's own __reduce__ may raise anything
            if self.deferred is None and is_too_deep(error):
                raise TooDeepError from error
            raise unpicklable_error(name, written, error, self.namespace, self.definitions) from error

    def write_helpers(self, pickler: Any) -> None:
        """Write the globals of the functions among the values."""
        if self.helpers is None:
            return
        # A separate pickler without identities: the reader has none of these definitions.
        pickled = self.helpers.pickled(lambda file: make_pickler(file, self.namespace, Definitions(), None))
        self.has_helpers = bool(pickled)
        if pickled:
            pickler.dump(pickled)


def unpicklable_error(
    name: str, value: Any, error: Exception, namespace: dict[str, Any], definitions: Definitions
) -> StepError:
    """Return the error for a value that cannot be pickled, which names the part at fault."""
    path, part, error = find_unpicklable(value, name, namespace, definitions) or (name, value, error)
    known = value.definition if type(value) is ChangedDefinition else value
    kind = "" if part is value else f" (a {type_name(known)})"
    reason = f"{type(error).__name__}: {error}"
    what, fix = explain_unpicklable(type_name(part), reason, "the step that uses it")
    return StepError(f"{name}{kind} cannot be passed to another step: {path} is {what}", "KALE208", fix)


def load_artifact(
    path: str,
    namespace: dict[str, Any],
    resolve: Callable[[str], Any],
    owns: bool = False,
    helpers: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Read the values of a file.

    Args:
        path: A file written by `save_artifact`.
        namespace: The globals of the functions in it, and where names of `__main__` are found.
        resolve: Returns the definition of an identity.
        owns: Whether large arrays own their memory too, instead of viewing that of the file.
        helpers: Receives the globals of functions in it, for `bind_helpers`.

    Returns:
        The values by name.

    Raises:
        StepError: The file is missing or damaged.
        Exception: Raised by the values themselves when they are loaded.
    """
    try:
        with open(path, "rb") as file:
            table = read_table(file, path)
            memory = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
            buffers = [memory[offset : offset + size] for offset, size in table["buffers"]]
            file.seek(len(MAGIC))
            reader = Reader(file, buffers, namespace, resolve, owns)
            more = table.get("more", {})
            values = {name: load_one(reader, *more.get(name, (0, 0))) for name in table["names"]}
            if helpers is not None and table.get("helpers"):
                helpers.update(reader.load())
            return values
    except FileNotFoundError as error:
        if error.filename != path:
            raise
        raise StepError(f"the artifact {path} does not exist") from error


def load_one(reader: Reader, before: int, after: int) -> Any:
    """Read a value, with the pickles before and after its own that belong to it."""
    for _ in range(before):
        reader.load()
    value = reader.load()
    for _ in range(after):
        reader.load()
    return value


def read_table(file: Any, path: str) -> Any:
    """Read the table at the end of an artifact.

    Raises:
        StepError: The file is not an artifact, or is incomplete.
    """
    start, size = file.read(len(MAGIC)), file.seek(0, os.SEEK_END)
    if start and start != MAGIC[: len(start)]:
        raise StepError(f"{path} is not an artifact of this version ({MAGIC.decode().strip()})")
    file.seek(max(0, size - 8 - len(END)))
    tail = file.read()
    length = struct.unpack("<Q", tail[:8])[0] if tail[8:] == END else size
    if length > size - len(MAGIC) - len(tail):
        raise StepError(f"the artifact {path} is damaged: its end is missing")
    file.seek(size - len(tail) - length)
    return from_json(file.read(length))


def describe(value: Any) -> dict[str, Any]:
    """Describe a value for a manifest: type, version of its library, shape and columns."""
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
            about["columns"] = [str(column) for column in value.columns[:MAX_COLUMNS]]
    return about
