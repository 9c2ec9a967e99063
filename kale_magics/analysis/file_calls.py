"""The files and folders that one call uses, as far as static analysis can find them."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kale_magics.analysis.names import dotted
from kale_magics.analysis.paths import GAP, fold

_WRITER = re.compile(
    r"to_(?!numpy|datetime|list|dict)\w+|tofile|save\w*|write_\w+|export\w*|dump|touch|imwrite|imsave|mmwrite"
    r"|urlretrieve|ExcelWriter|make_archive"
)
"""Functions and methods that write a file, whose path is an argument."""

_READER = re.compile(r"(read|load|scan|open|imread)\w*|memmap|genfromtxt|fromfile")
_OPENERS = frozenset({"open", "fdopen", "ZipFile", "File", "memmap", "HDFStore", "TarFile"})
_WRITING_MODE = re.compile(r"[rbt]*[wax+][rbtwax+]*(:\w*)?")
_COPIES = frozenset("copyfile copy copy2 copytree".split())
_MOVES = frozenset({"os.rename", "os.replace", "shutil.move"})
_REMOVES = frozenset({"os.remove", "os.unlink", "shutil.rmtree"})
_NO_USES = frozenset("mkdir makedirs chdir cd rmdir print display len write writelines".split())
_FOLDER_READERS = frozenset(
    "read_parquet scan_parquet ParquetDataset read_table dataset make_archive copytree load_from_disk"
    " load_files from_pretrained load_model open_dataset open_zarr ImageFolder DatasetFolder"
    " flow_from_directory image_dataset_from_directory text_dataset_from_directory imread_collection".split()
)
"""Functions that may read all files of a folder, whose path is an argument."""

_EXTENSIONS = {
    "savez": ".npz",
    "savez_compressed": ".npz",
    "save_npz": ".npz",
    "savemat": ".mat",
    "savefig": ".png",
}
"""Extensions that these add to a file name that lacks them; `savefig` only to one without extension."""

_ARCHIVES = {"zip": ".zip", "tar": ".tar", "gztar": ".tar.gz", "bztar": ".tar.bz2", "xztar": ".tar.xz"}
_FILE = re.compile(r"(?!\w+://)[^\s<>|*?\"']*(\.\w{1,8}|[^\s<>|*?\"']/[^\s<>|*?\"']+)")
_CHANGES_DATABASE = re.compile(r"\b(insert|create|update|delete|drop|replace|alter)\b", re.IGNORECASE)
_REDIRECTED = re.compile(r">>?\s*([\w./~-]+)")
_WORDS = re.compile(r"[\w./~-]+")


@dataclass(frozen=True)
class FileUse:
    """A use of a file or a folder by code.

    Attributes:
        pattern: The path as a pattern of `paths.fold`; "FOLDER/**" stands for all files below a folder.
        text: Its label: the path in quotes, or the expression if part of the path is unknown.
        line: In the cell, from 1; 0 if it was observed when the cell ran.
        writes: Whether the file is written.
    """

    pattern: str
    text: str
    line: int
    writes: bool


class FileCall:
    """A call that may use files.

    Args:
        node: The call.
        values: The patterns of names (`paths.fold`).
        changes_database: Whether the code around it changes a database.
    """

    def __init__(self, node: ast.Call, values: Mapping[str, str], changes_database: bool) -> None:
        self.node, self.changes_database = node, changes_database
        self.function = dotted(node.func)
        self.owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        self.name = node.func.attr if isinstance(node.func, ast.Attribute) else self.function
        self.of_path = self.owner is not None and fold(self.owner, values) is not None
        owners = [self.owner] if self.owner is not None and self.of_path else []
        # The path that owns the method comes first, as in the equivalent function.
        self.given = [*owners, *node.args, *(keyword.value for keyword in node.keywords)]
        self.paths = [fold(argument, values) for argument in self.given]

    def uses(self) -> Iterator[FileUse]:
        """Yield the files that the call uses."""
        if self.name in _NO_USES:
            return
        # A string has a method `replace` too, and a frame `rename`.
        moved = self.of_path and self.name in ("rename", "replace") and len(self.given) == 2
        if (listed := self._listed()) is not None:
            yield self._use(0, listed, writes=False)
        elif self.name in _COPIES or self.function in _MOVES or moved:
            yield from self._of_copy()
        elif self.function in _REMOVES or (self.name == "unlink" and self.of_path):
            if self.paths and self.paths[0] is not None:
                yield self._use(0, self.paths[0] + ("/**" if self.name == "rmtree" else ""), writes=True)
        else:
            yield from self._of_arguments()

    def _use(self, place: int, pattern: str, *, writes: bool) -> FileUse:
        node = self.given[place] if self.given else self.node
        text = ast.unparse(node) if GAP in pattern else repr(pattern.removesuffix("/**"))
        return FileUse(pattern, text, self.node.lineno, writes)

    def _listed(self) -> str | None:
        """Return the pattern of the files that the call lists; None if it lists none."""
        first = self.paths[0] if self.paths else None
        last = self.paths[1] if self.of_path and len(self.paths) > 1 else first
        if self.name in ("glob", "iglob", "rglob") and first is not None and last is not None:
            deep = "**" if self.name == "rglob" else ""
            return os.path.join(first, deep, last) if self.of_path else last
        folder = first if self.given else "."
        if self.name in ("listdir", "scandir", "walk", "iterdir") and folder is not None:
            return os.path.join(folder, "**" if self.name == "walk" else "*")
        return None

    def _of_copy(self) -> Iterator[FileUse]:
        """Yield the files of `copy(source, target)` and `source.rename(target)`."""
        source, target = (*self.paths, None, None)[:2]
        if self.name == "copy" and not any(map(_is_file, filter(None, (source, target)))):
            return  # the method of a list or a frame
        tree = "/**" if self.name == "copytree" else ""
        if source is not None:
            yield self._use(0, source + tree, writes=self.name not in _COPIES)
        if target is not None:
            name = os.path.basename(source or "")
            into = f"/{name}" if os.path.splitext(name)[1] and not os.path.splitext(target)[1] else ""
            yield self._use(1, target + into + tree, writes=True)

    def _of_arguments(self) -> Iterator[FileUse]:
        """Yield the arguments that the call reads or writes."""
        writes = self._writes()
        certain = writes or _READER.fullmatch(self.name) is not None
        folders = self.given[2:] if self.name == "make_archive" else self.given
        for place, pattern in enumerate(self.paths):
            if not pattern or "\n" in pattern or "://" in pattern:
                continue
            if self.name in _FOLDER_READERS and self.given[place] in folders:
                yield self._use(place, pattern, writes=False)
                yield self._use(place, f"{pattern}/**", writes=False)
            elif (certain and place == self._position()) or _is_file(pattern, wild=certain):
                yield self._use(place, self._with_extension(pattern), writes=writes)

    def _position(self) -> int | None:
        """Return the position of the argument that is a path even if it does not look like one."""
        if self.of_path:
            return 0
        if self.name in ("dump", "write_table", "urlretrieve"):
            return 1
        if self.name == "save" and not self._is_of_numpy():
            return None
        return None if self.name == "loads" else 0

    def _is_of_numpy(self) -> bool:
        return self.function in ("np.save", "numpy.save")

    def _writes(self) -> bool:
        if self.name in _OPENERS:
            rest = (g.value for g in self.given[1:] if isinstance(g, ast.Constant))
            texts = [value for value in rest if isinstance(value, str)]
            return any(_WRITING_MODE.fullmatch(text) for text in texts)
        if self.name == "connect":
            return self.changes_database
        return _WRITER.fullmatch(self.name) is not None

    def _with_extension(self, pattern: str) -> str:
        """Return the path with the extension that a library adds to it."""
        extension = ".npy" if self._is_of_numpy() else _EXTENSIONS.get(self.name, "")
        if self.name == "make_archive":
            extension = next((_ARCHIVES[path] for path in self.paths if path in _ARCHIVES), "")
        if pattern.endswith(extension) or (self.name == "savefig" and os.path.splitext(pattern)[1]):
            return pattern
        return pattern + extension


def _is_file(text: str, wild: bool = False) -> bool:
    """Whether a string looks like the path of a file; `wild` allows wildcards."""
    return _FILE.fullmatch(re.sub(r"[*?]", "x", text) if wild else text) is not None


def of_command(call: ast.Call) -> Iterator[FileUse]:
    """Yield the files of `!command`, `%%bash` and `%%writefile`."""
    texts = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    written: set[str] = set()
    named = {word for text in texts for word in _WORDS.findall(text)}
    if texts[:1] in (["writefile"], ["file"]):
        written, named = {word for word in texts[1].split() if not word.startswith("-")}, set()
    else:
        written = {name for text in texts for name in _REDIRECTED.findall(text)}
    for name in sorted(written | {word for word in named if _FILE.fullmatch(word)}):
        yield FileUse(name, repr(name), call.lineno, name in written)


def changes_database(node: ast.AST) -> bool:
    """Whether code contains SQL statements that change a database, or writes a frame into one."""
    texts = (n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str))
    methods = {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}
    return "to_sql" in methods or any(map(_CHANGES_DATABASE.search, texts))
