"""The files that code names where it writes, and wherever else it names them."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from kale_magics.analysis.names import dotted
from kale_magics.analysis.syntax import is_of_shell

_WRITERS = frozenset(
    "to_csv to_parquet to_pickle to_json to_excel to_feather to_hdf to_html to_stata to_orc to_xml to_latex"
    " to_markdown to_zarr to_netcdf to_file to_string tofile save savez savez_compressed savetxt savefig"
    " save_model save_npz save_pretrained save_weights write_image write_html write_json write_parquet"
    " write_csv write_ipc write_table imwrite imsave dump urlretrieve copyfile copy2 write_text write_bytes"
    " touch mmwrite savemat".split()
)
"""Functions and methods that write a file that they are told of."""

_OPENERS = frozenset({"open", "fdopen", "ZipFile", "File", "memmap"})
_PATHS = frozenset({"Path", "PurePath"})
_WRITING_MODE = re.compile(r"[rbt]*[wax+][rbtwax+]*")
_FILE = re.compile(r"(?!\w+://)[^\s<>|*?\"']*(\.\w{1,8}|[^\s<>|*?\"']/[^\s<>|*?\"']+)")
_REDIRECTED = re.compile(r">>?\s*([\w./~-]+)")
_WORDS = re.compile(r"[\w./~-]+")


@dataclass(frozen=True)
class FileUse:
    """A place where code names a file.

    Attributes:
        file: The expression that names it, as text: a path in quotes, or an expression over names.
        names: The names in it.
        line: In the cell, from 1.
        writes: Whether the file is written there.
    """

    file: str
    names: frozenset[str]
    line: int
    writes: bool


def file_uses(node: ast.AST, texts: Collection[str]) -> Iterator[FileUse]:
    """The files that code names.

    Args:
        node: A cell or a statement of one.
        texts: The names that stand for a text or a path.
    """
    for call in ast.walk(node):
        if not isinstance(call, ast.Call):
            continue
        if is_of_shell(call):
            yield from _of_command(call)
            continue
        writes = _is_writing(call)
        given = [*call.args, *(k.value for k in call.keywords)]
        given += [call.func.value] if isinstance(call.func, ast.Attribute) else []
        for expression in map(_bare, given):
            if _names_file(expression, texts):
                names = {n.id for n in ast.walk(expression) if isinstance(n, ast.Name)}
                yield FileUse(ast.unparse(expression), frozenset(names), call.lineno, writes)


def _is_writing(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else dotted(call.func)
    if name in _OPENERS:
        modes = [*call.args, *(k.value for k in call.keywords if k.arg == "mode")]
        texts = [m.value for m in modes if isinstance(m, ast.Constant) and isinstance(m.value, str)]
        return any(_WRITING_MODE.fullmatch(text) for text in texts)
    return name in _WRITERS


def _bare(node: ast.expr) -> ast.expr:
    """A path without what makes a path of a text."""
    while isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
        if dotted(node.func).rpartition(".")[2] not in _PATHS | {"str", "open"}:
            break
        node = node.args[0]
    return node


def _names_file(node: ast.expr, texts: Collection[str]) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and bool(_FILE.fullmatch(node.value))
    if isinstance(node, ast.Name):
        return node.id in texts
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Div, ast.Add)):
        return _names_file(node.left, texts) and (
            isinstance(node.right, ast.Constant) or _names_file(node.right, texts)
        )
    if isinstance(node, ast.JoinedStr):
        parts = [v.value for v in node.values if isinstance(v, ast.FormattedValue)]
        return bool(parts) and all(_names_file(part, texts) for part in parts)
    return False


def _of_command(call: ast.Call) -> Iterator[FileUse]:
    """The files of `!command`, `%%bash` and `%%writefile`."""
    texts = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    written: set[str] = set()
    named = {word for text in texts for word in _WORDS.findall(text)}
    if texts[:1] in (["writefile"], ["file"]):
        written, named = {word for word in texts[1].split() if not word.startswith("-")}, set()
    else:
        written = {name for text in texts for name in _REDIRECTED.findall(text)}
    for name in sorted(written | {word for word in named if _FILE.fullmatch(word)}):
        yield FileUse(repr(name), frozenset(), call.lineno, name in written)
