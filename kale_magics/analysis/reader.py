"""From the syntax tree of a statement to its effects."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from kale_magics.analysis.assignments import AssignmentReader
from kale_magics.analysis.closures import keeps_state
from kale_magics.analysis.effects import (
    Behaviour,
    Bind,
    Branch,
    Call,
    Define,
    Effect,
    Mutate,
    Path,
    Source,
    Unbind,
)
from kale_magics.analysis.expressions import ExpressionReader
from kale_magics.analysis.library_rules import FRESH
from kale_magics.analysis.names import NameReader, dotted, is_constant, labelled, part_of
from kale_magics.analysis.reader_state import ReaderState, Scope
from kale_magics.analysis.scopes import bound_names, imported_names, imported_origins

_ENDS = (ast.Raise, ast.Return, ast.Continue, ast.Break)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def effects_of(statement: ast.stmt) -> tuple[Effect, ...]:
    """Return the effects of a statement at the top level of a cell."""
    state = ReaderState()
    StatementReader(state)
    state.visit(statement)
    return tuple(state.out)


class StatementReader:
    """Collects the effects of statements.

    Args:
        state: The state of the reading.
    """

    def __init__(self, state: ReaderState) -> None:
        self.state = state
        self.names = NameReader(state)
        self.assignments = AssignmentReader(state, self.names)
        self.expressions = ExpressionReader(state, self.names, self.assignments)
        state.register(self)

    def block(self, body: Sequence[ast.AST]) -> Path:
        """Return the effects of a block that may not run."""
        with self.names.collecting() as effects:
            self.expressions.body(body)
        return Path(tuple(effects), bool(body) and _ends(body[-1]))

    def _assign(self, node: ast.Assign) -> None:
        self.assignments.assign(node.targets, node.value)

    def _annassign(self, node: ast.AnnAssign) -> None:
        with self.names.uncertain():
            if not self.names.in_function:
                self.state.visit(node.annotation)
        if node.value is not None:
            self.assignments.assign([node.target], node.value)

    def _augassign(self, node: ast.AugAssign) -> None:
        target = node.target
        load = ast.Name(target.id, ast.Load(), lineno=target.lineno) if isinstance(target, ast.Name) else None
        self.state.visit(load or target.value)  # type: ignore[union-attr]  # one of them is set
        self.state.visit(getattr(target, "slice", None))
        self.state.visit(node.value)
        uses = self.names.names_in(node.value)
        changed = self.names.roots(load or target.value)  # type: ignore[union-attr]  # one of them is set
        linked = part_of(self.names.roots(node.value))
        for root in changed:
            self.state.out.append(Mutate(root, node.lineno, "operator" if load else "write", linked, uses))
        if load is not None:
            self.assignments.bind_name(load.id, node.lineno, self.names.roots(load), uses | {load.id})

    def _delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                if self.names.find(target.id) is None:
                    self.state.out.append(Unbind(target.id, target.lineno))
            elif isinstance(target, (ast.Tuple, ast.List)):
                self._delete(ast.Delete(target.elts))
            elif isinstance(target, (ast.Attribute, ast.Subscript)):
                self.state.visit(target.value)
                self.state.visit(getattr(target, "slice", None))
                self.state.out += [Mutate(root, target.lineno) for root in self.names.roots(target.value)]

    def _return(self, node: ast.Return) -> None:
        self.state.visit(node.value)
        if node.value is not None:
            self.state.returns += self.names.roots(node.value)

    def _if(self, node: ast.If) -> None:
        if ast.unparse(node.test) in ("__name__ == '__main__'", "'__main__' == __name__"):
            self.expressions.body(node.body)
            return
        self.state.visit(node.test)
        paths = self.block(node.body), self.block(node.orelse)
        self.state.out.append(Branch(paths, selectors=self.names.names_in(node.test)))

    def _while(self, node: ast.While) -> None:
        self.state.visit(node.test)
        self.state.out.append(Branch((self._loop(node.body), Path(())), self.names.names_in(node.test)))
        self._otherwise(node.orelse)

    def _for(self, node: ast.For | ast.AsyncFor) -> None:
        self.state.visit(node.iter)
        with self.names.collecting() as effects:
            self.assignments.iterate(node)
            self.expressions.body(node.body)
        self.state.out.append(Branch((Path(tuple(effects)), Path(())), self.names.names_in(node.iter)))
        self._otherwise(node.orelse)

    _asyncfor = _for

    def _loop(self, body: Sequence[ast.AST]) -> Path:
        return Path(self.block(body).effects)

    def _otherwise(self, body: Sequence[ast.AST]) -> None:
        if body:
            self.state.out.append(Branch((self.block(body), Path(()))))

    def _with(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            self.state.visit(item.context_expr)
            self._context_manager_call(item.context_expr)
            if item.optional_vars is not None:
                entered = (
                    replace(s, relation="entered") if s.relation == "call" else s
                    for s in self.names.roots(item.context_expr)
                )
                self.assignments.bind(
                    item.optional_vars, tuple(entered), self.names.names_in(item.context_expr)
                )
        if any("suppress" in ast.unparse(item.context_expr) for item in node.items):
            self.state.out.append(Branch((self._loop(node.body), Path(()))))
        else:
            self.expressions.body(node.body)

    _asyncwith = _with

    def _context_manager_call(self, context: ast.expr) -> None:
        """Add a call: a context manager may change its arguments while the body of its `with` runs."""
        if isinstance(context, ast.Call) and dotted(context.func) not in FRESH:
            given = tuple((label, self.names.roots(value)) for label, value in labelled(context))
            self.state.out.append(Call(context.lineno, "", "", (), given))

    def _try(self, node: ast.Try) -> None:
        paths = [self.block([*node.body, *node.orelse]), *map(self._handler, node.handlers)]
        # A handler may use what the body bound before it failed.
        defined = tuple(effect for effect in paths[0].effects if isinstance(effect, (Bind, Define)))
        possibly = (Branch((*map(Path, _before_failures(defined)), Path(()))),) if defined else ()
        paths[1:] = [replace(path, effects=possibly + path.effects) for path in paths[1:]]
        if node.handlers:
            self.state.out.append(Branch(tuple(paths)))
        else:
            self.state.out += paths[0].effects
        self.expressions.body(node.finalbody)

    _trystar = _try

    def _handler(self, node: ast.ExceptHandler) -> Path:
        with self.names.collecting() as effects:
            self.state.visit(node.type)
            if node.name:
                uses = self.names.names_in(node.type) if node.type else frozenset[str]()
                self.assignments.bind_name(node.name, node.lineno, uses=uses)
            body = self.block(node.body)
            self.state.out += body.effects
            if node.name and self.names.find(node.name) is None:
                self.state.out.append(Unbind(node.name, node.lineno))
        return Path(tuple(effects), body.ends)

    def _match(self, node: ast.Match) -> None:
        self.state.visit(node.subject)
        sources, uses = part_of(self.names.roots(node.subject)), self.names.names_in(node.subject)
        paths = []
        for case in node.cases:
            with self.names.collecting() as effects:
                for child in ast.walk(case.pattern):
                    if isinstance(child, (ast.MatchValue, ast.MatchClass)):
                        self.state.visit(child.cls if isinstance(child, ast.MatchClass) else child.value)
                for name in sorted(bound_names([case.pattern])[0]):
                    self.assignments.bind_name(name, case.pattern.lineno, sources, uses)
                self.state.visit(case.guard)
                body = self.block(case.body)
                self.state.out += body.effects
            paths.append(Path(tuple(effects), body.ends))
        last = node.cases[-1]
        if last.guard or not (isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None):
            paths.append(Path(()))
        guards = (case.guard for case in node.cases if case.guard)
        self.state.out.append(Branch(tuple(paths), selectors=uses.union(*map(self.names.names_in, guards))))

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        names = imported_names(node)
        if self.state.scopes:
            for name in names:
                self.assignments.bind_name(name, node.lineno)
            return
        star = isinstance(node, ast.ImportFrom) and node.names[0].name == "*"
        package = "." * node.level + (node.module or "") if isinstance(node, ast.ImportFrom) else ""
        modules = (package,) if package else tuple(alias.name for alias in node.names)
        origins = tuple(imported_origins(node))
        self.state.out.append(
            Define("import", tuple(names), node.lineno, package if star else "", modules, origins)
        )

    _importfrom = _import

    def _functiondef(self, node: Function) -> None:
        with self.names.collecting() as at_once:
            self._evaluated_at_once(node)
        if self.state.scopes:
            self.state.out += at_once
            self.expressions.inline(node.args, node.body, ())
            self.assignments.bind_name(node.name, node.lineno, self.names.captured(node))
            return
        behaviour = replace(
            self.expressions.behaviour(node.name, node.args, node.body), keeps_state=keeps_state(node)
        )
        self.state.out.append(
            Define(
                "def",
                (node.name,),
                node.lineno,
                behaviour=behaviour,
                at_once=tuple(at_once),
                default_sources=self.names.all_roots(
                    [*node.args.defaults, *filter(None, node.args.kw_defaults)]
                ),
                decorators=_paths_of_decorators(node),
            )
        )

    _asyncfunctiondef = _functiondef

    def _evaluated_at_once(self, node: Function) -> None:
        for decorator in node.decorator_list:
            self.state.visit(decorator)
            if isinstance(decorator, ast.Attribute):
                self.state.out.append(
                    Call(node.lineno, dotted(decorator), decorator.attr, self.names.roots(decorator.value))
                )
        for expression in (*node.args.defaults, *node.args.kw_defaults):
            self.state.visit(expression)
        arguments = [
            *node.args.posonlyargs,
            *node.args.args,
            *node.args.kwonlyargs,
            node.args.vararg,
            node.args.kwarg,
        ]
        with self.names.uncertain():
            for argument in arguments:
                self.state.visit(argument.annotation if argument else None)
            self.state.visit(node.returns)

    def _classdef(self, node: ast.ClassDef) -> None:
        methods: dict[str, Behaviour] = {}
        with self.names.collecting() as at_once:
            for expression in (*node.decorator_list, *node.bases, *(k.value for k in node.keywords)):
                self.state.visit(expression)
            for made_by in (k.value for k in node.keywords if k.arg == "metaclass"):
                self.state.out.append(Call(node.lineno, dotted(made_by), "", self.names.roots(made_by)))
            held = self._class_body(node, methods)
        if self.state.scopes:
            self.state.out += at_once
            self.state.out += [effect for method in methods.values() for effect in method.effects]
            self.assignments.bind_name(node.name, node.lineno, self.names.captured(node))
            return
        effects = tuple(e for name, m in methods.items() if name != "__init_subclass__" for e in m.effects)
        methods.setdefault("", Behaviour(node.name))
        attributes = frozenset(_changeable(node.body))
        behaviour = Behaviour(node.name, effects=effects, methods=methods, attributes=attributes)
        self.state.out.append(
            Define(
                "class",
                (node.name,),
                node.lineno,
                behaviour=behaviour,
                at_once=tuple(at_once),
                default_sources=held,
                decorators=_paths_of_decorators(node),
            )
        )

    def _class_body(self, node: ast.ClassDef, methods: dict[str, Behaviour]) -> tuple[Source, ...]:
        """Collect the effects of the class statement, and fill in the methods, which run later.

        Returns:
            What the class variables may share objects with.
        """
        bound, declared, _ = bound_names(node.body)
        made = len(self.state.behaviours)
        attributes, self.state.class_attributes = (
            self.state.class_attributes,
            frozenset(_changeable(node.body)),
        )
        with self.names.scope(Scope("class", {name: list[Source]() for name in bound}, declared)) as scope:
            for statement in node.body:
                if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    self._evaluated_at_once(statement)
                    method = self.expressions.behaviour(
                        statement.name, statement.args, statement.body, node.name
                    )
                    methods[_method_key(statement, methods)] = replace(
                        method, implicit=_is_implicit(statement)
                    )
                elif isinstance(statement, ast.ClassDef):
                    for expression in (*statement.decorator_list, *statement.bases):
                        self.state.visit(expression)
                    self._class_body(statement, methods)
                else:
                    self.state.visit(statement)
        self.state.class_attributes = attributes
        for number, behaviour in enumerate(self.state.behaviours[made:]):
            methods[f"lambda {number}"] = behaviour
        del self.state.behaviours[made:]
        return tuple(dict.fromkeys(source for name in sorted(scope.names) for source in scope.names[name]))

    def _typealias(self, node: ast.AST) -> None:
        name: ast.Name = node.name  # type: ignore[attr-defined]  # `ast.TypeAlias`, since 3.12
        value: ast.expr = node.value  # type: ignore[attr-defined]  # the same
        with self.names.uncertain():
            self.state.visit(value)
        self.state.out.append(Bind(name.id, name.lineno, uses=self.names.names_in(value)))

    def _global(self, node: ast.AST) -> None:
        """Do nothing: the scope already includes the declarations."""

    _nonlocal = _global


EXPLICIT = frozenset(
    "__init__ __new__ __post_init__ __call__ __setstate__ __getstate__ __reduce__ __del__ __init_subclass__"
    " __set_name__ __setattr__ __delattr__ __setitem__ __delitem__ __iadd__".split()
)
"""Special methods that run when an object is made, called, changed or deleted."""


def _paths_of_decorators(node: Function | ast.ClassDef) -> tuple[str, ...]:
    return tuple(dotted(d.func if isinstance(d, ast.Call) else d) for d in node.decorator_list)


def _changeable(body: Sequence[ast.stmt]) -> Iterator[str]:
    """Yield the class variables that may be mutable."""
    for statement in body:
        value = statement.value if isinstance(statement, (ast.Assign, ast.AnnAssign)) else None
        if value is not None and not is_constant(value):
            yield from bound_names([statement])[0]


def _is_implicit(node: Function) -> bool:
    """Whether a method runs without an explicit call: for an operator, or as a property."""
    special = node.name.startswith("__") and node.name.endswith("__") and node.name not in EXPLICIT
    return special or any("property" in ast.unparse(decorator) for decorator in node.decorator_list)


def _method_key(node: Function, methods: Mapping[str, Behaviour]) -> str:
    """Return a unique key for a method: a property has several of one name."""
    return node.name if node.name not in methods else f"{node.name} {len(methods)}"


def _ends(node: ast.AST) -> bool:
    if isinstance(node, _ENDS):
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return ast.unparse(node.value.func) in ("sys.exit", "exit", "quit")
    if isinstance(node, ast.If):
        return bool(node.orelse) and _ends(node.body[-1]) and _ends(node.orelse[-1])
    return False


MAX_FAILURES = 8
"""Places in the body of a `try` where it may have failed that are distinguished."""


def _before_failures(defined: tuple[Bind | Define, ...]) -> list[tuple[Effect, ...]]:
    """Return what a body that fails may have bound: all of it, or all before a name is bound again."""
    found: list[tuple[Effect, ...]] = [defined]
    bound: set[str] = set()
    for place, effect in enumerate(defined):
        names = {effect.name} if isinstance(effect, Bind) else {*effect.names}
        if not bound.isdisjoint(names) and len(found) < MAX_FAILURES:
            found.append(defined[:place])
        bound |= names
    return found
