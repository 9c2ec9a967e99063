"""The files and folders that code reads and writes, as far as static analysis can find them."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from kale_magics.analysis.file_calls import FileCall, FileUse, changes_database, of_command
from kale_magics.analysis.paths import fold
from kale_magics.analysis.scopes import bound_names, parameters_of
from kale_magics.analysis.syntax import is_of_shell

_BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.Match)
_SCOPES = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef,
    ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp,
)  # fmt: skip


class FileReader:
    """Follows the paths in variables from top to bottom, and collects the files that code uses.

    Args:
        values: The patterns of names (`paths.fold`); assignments are added.

    Attributes:
        uses: The files found so far.
    """

    def __init__(self, values: dict[str, str]) -> None:
        self.values, self.uses = values, list[FileUse]()
        self._changes_database = False

    def read(self, node: ast.AST) -> list[FileUse]:
        """Return the files that a cell, or a statement of one, uses."""
        self.uses, self._changes_database = [], changes_database(node)
        self._visit(node)
        return self.uses

    def _visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.Call):
            self._call(node)
        if isinstance(node, _BRANCHES):
            self._branch(node)
        elif isinstance(node, _SCOPES):
            self._scope(node)
        else:
            for child in ast.iter_child_nodes(node):
                self._visit(child)
            self._bind(node)

    def _call(self, node: ast.Call) -> None:
        if is_of_shell(node):
            self.uses += of_command(node)
        elif fold(node, self.values) is None:  # otherwise it only builds a path
            self.uses += FileCall(node, self.values, self._changes_database).uses()

    def _bind(self, node: ast.AST) -> None:
        """Record the path that an assignment gives a name; any other binding makes the name unknown."""
        targets: list[ast.expr] = []
        value: ast.expr | None = None
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)):
            targets, value = [node.target], node.value
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            name = ast.Name(node.target.id, ast.Load())
            targets, value = [node.target], ast.BinOp(name, node.op, node.value)
        elif isinstance(node, (ast.withitem, ast.Import, ast.ImportFrom, ast.Delete)):
            self._forget(bound_names([node])[0])
        found = fold(value, self.values) if value is not None else None
        self._forget(bound_names(targets)[0])
        if found is not None:
            self.values.update((t.id, found) for t in targets if isinstance(t, ast.Name))

    def _forget(self, names: Iterable[str]) -> None:
        for name in names:
            self.values.pop(name, None)

    def _branch(self, node: ast.AST) -> None:
        """Visit code that may run any number of times: the names that it binds are unknown afterwards."""
        before = dict(self.values)
        if isinstance(node, (ast.For, ast.AsyncFor)):
            self._forget(bound_names([node.target])[0])
        for child in ast.iter_child_nodes(node):
            self._visit(child)
        self._forget([name for name, value in self.values.items() if before.get(name) != value])

    def _scope(self, node: ast.AST) -> None:
        """Visit a function, a class or a comprehension: its local names are not those of the notebook."""
        before = dict(self.values)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            body = node.body if isinstance(node.body, list) else []
            self._forget([*parameters_of(node.args), *bound_names(body)[0]])
        elif isinstance(node, ast.ClassDef):
            self._forget(bound_names(node.body)[0])
        else:
            generators: list[ast.comprehension] = getattr(node, "generators", [])
            self._forget(bound_names(g.target for g in generators)[0])
        for child in ast.iter_child_nodes(node):
            self._visit(child)
        self.values.clear()
        self.values.update(before)
