"""The state of reading a statement, which the readers of names, expressions and statements share."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from kale_magics.analysis.effects import Behaviour, Call, Effect, Source


@dataclass
class Scope:
    """A function, a comprehension or a class body under analysis.

    Attributes:
        kind: Which of them.
        names: Its local names, each with what its value may be.
        declared: The names that it declares `global`.
    """

    kind: Literal["function", "comprehension", "class"]
    names: dict[str, list[Source]] = field(default_factory=dict)
    declared: set[str] = field(default_factory=set)


@dataclass
class ReaderState:
    """What is known at one point of a statement.

    Attributes:
        out: The effects so far.
        scopes: The current scopes, the innermost last.
        certain: Whether the current code always runs.
        owner: In a method, its class and the name of its first parameter; else empty.
        class_attributes: In a method, the class variables that may be mutable.
        targets: The names that the current assignment binds.
        late: Those of them that a function, made by the assignment, looks up later.
        returns: In a function, what its result may be.
        behaviours: The functions that the current expression makes.
        arguments: How many calls are around the current expression, whose argument it is.
        calls: The effects of calls that are read, by their nodes.
        elements: What the elements of an expression may be.
        known_roots: What an expression may share objects with; a cache, cleared whenever names of inner
            scopes refer to other objects.
    """

    out: list[Effect] = field(default_factory=list)
    scopes: list[Scope] = field(default_factory=list)
    certain: bool = True
    owner: tuple[str, str] = ("", "")
    class_attributes: frozenset[str] = frozenset()
    targets: set[str] = field(default_factory=set)
    late: set[str] = field(default_factory=set)
    returns: list[Source] = field(default_factory=list)
    behaviours: list[Behaviour] = field(default_factory=list)
    arguments: int = 0
    calls: dict[ast.AST, Call] = field(default_factory=dict)
    elements: dict[ast.AST, tuple[Source, ...]] = field(default_factory=dict)
    known_roots: dict[ast.AST, tuple[Source, ...]] = field(default_factory=dict)
    _readers: list[object] = field(default_factory=list)
    _methods: dict[type, Callable[[ast.AST], None] | None] = field(default_factory=dict)

    def register(self, reader: object) -> None:
        """Let a reader read nodes: `_call` those of `ast.Call`, and so on."""
        self._readers.append(reader)

    def visit(self, node: ast.AST | None) -> None:
        """Collect the effects of a node."""
        if node is None:
            return
        kind = type(node)
        if kind not in self._methods:
            name = f"_{kind.__name__.lower()}"
            found = (getattr(reader, name, None) for reader in self._readers)
            self._methods[kind] = next((method for method in found if method is not None), None)
        method = self._methods[kind]
        if method is not None:
            method(node)
            return
        for child in ast.iter_child_nodes(node):
            self.visit(child)
