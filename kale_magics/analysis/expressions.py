"""From the tree of an expression to its effects."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from kale_magics.analysis.assignments import MAX_TARGETS, AssignmentReader
from kale_magics.analysis.choices import requests_in_place, selector_nodes, selects
from kale_magics.analysis.code_strings import (
    NO_ARGUMENTS,
    bound_by_script,
    has_own_namespace,
    parsed,
    script_in_place,
)
from kale_magics.analysis.effects import (
    PARAMETER,
    Behaviour,
    Bind,
    Branch,
    Call,
    Dynamic,
    Mutate,
    Path,
    Read,
    Source,
    flattened,
    flattened_with_certainty,
)
from kale_magics.analysis.library_rules import CHANGING_METHODS, CONTAINER_METHODS, HOLDING_METHODS
from kale_magics.analysis.names import (
    NameReader,
    dotted,
    is_constant,
    labelled,
    part_of,
    variable_of_globals,
)
from kale_magics.analysis.reader_state import ReaderState, Scope
from kale_magics.analysis.scopes import Comprehension, bound_names, defaults_of, parameters_of
from kale_magics.analysis.syntax import is_of_shell
from kale_magics.step_runtime.shell import DOLLAR

LOOKUPS = frozenset({"eval", "exec", "globals", "locals", "vars"})
"""Functions that find variables by names that may be computed."""

COMMANDS = frozenset({"system", "getoutput", "run_line_magic", "run_cell_magic"})
"""Methods of IPython's shell that expand variables in their argument."""


SETTING_MAGICS = frozenset({"cd", "pushd", "popd", "env", "set_env"})
"""Magics that set the working directory or environment variables."""

QUERIES = frozenset({"query", "eval"})
"""Methods of frames that find variables of the notebook by `@name`."""

_AT_NAME = re.compile(r"@([^\W\d]\w*)")


class ExpressionReader:
    """Collects the effects of expressions.

    Args:
        state: The state of the reading.
        names: Resolves names.
        assignments: Collects the effects of assignments.
    """

    def __init__(self, state: ReaderState, names: NameReader, assignments: AssignmentReader) -> None:
        self.state, self.names, self.assignments = state, names, assignments
        state.register(self)

    def _name(self, node: ast.Name) -> None:
        self.names.read(node.id, node.lineno)

    def _namedexpr(self, node: ast.NamedExpr) -> None:
        self.assignments.assign([node.target], node.value)

    def _ifexp(self, node: ast.IfExp) -> None:
        self.state.visit(node.test)
        self.branch(self.names.names_in(node.test), [node.body], [node.orelse])

    def _boolop(self, node: ast.BoolOp) -> None:
        self.state.visit(node.values[0])
        chosen = frozenset[str]().union(*map(self.names.names_in, node.values[:-1]))
        self.branch(chosen, node.values[1:], [])

    def branch(self, chosen: frozenset[str], *ways: Sequence[ast.AST]) -> None:
        """Add a branch: one of several sequences of expressions is evaluated, selected by some names."""
        paths = []
        for way in ways:
            with self.names.collecting() as effects:
                for node in way:
                    self.state.visit(node)
            paths.append(Path(tuple(effects)))
        self.state.out.append(Branch(tuple(paths), selectors=chosen))

    def _compare(self, node: ast.Compare) -> None:
        for operand in (node.left, *node.comparators):
            self.state.visit(operand)
        for operator, operand in zip(node.ops, node.comparators, strict=True):
            if isinstance(operator, (ast.In, ast.NotIn)):
                self.assignments.consume(operand)

    def _listcomp(self, node: Comprehension) -> None:
        self.state.visit(node.generators[0].iter)
        bound, _, _ = bound_names([g.target for g in node.generators])
        scope = Scope("comprehension", {name: [] for name in bound})
        with self.names.collecting() as effects:
            self.assignments.iterate(node.generators[0], scope)
            with self.names.scope(scope):
                for test in node.generators[0].ifs:
                    self.state.visit(test)
                for generator in node.generators[1:]:
                    self.state.visit(generator.iter)
                    self.assignments.iterate(generator, scope)
                    for test in generator.ifs:
                        self.state.visit(test)
                values = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
                for value in values:
                    self.state.visit(value)
                self.state.elements[node] = tuple(s for value in values for s in self.names.roots(value))
        loop = self.names.names_in(node.generators[0].iter)
        if any(isinstance(effect, Bind) for effect in flattened(tuple(effects))):
            self.state.out.append(Branch((Path(tuple(effects)), Path(())), loop))
        else:
            self.state.out += [
                replace(effect, selectors=effect.selectors | loop) if isinstance(effect, Call) else effect
                for effect in effects
            ]

    _setcomp = _dictcomp = _generatorexp = _listcomp

    def _lambda(self, node: ast.Lambda) -> None:
        for default in (*node.args.defaults, *node.args.kw_defaults):
            self.state.visit(default)
        if self.names.in_function or self.state.arguments:
            # The function most likely looks up later what the statement binds.
            before, self.state.late = self.state.late, self.state.targets
            self.inline(node.args, [node.body], ())
            self.state.late = before
        if not self.names.in_function:
            made = self.behaviour("lambda", node.args, [node.body])
            self.state.behaviours.append(made)
            self.state.elements[node] = tuple(s for s in made.returns if not s.name.startswith(PARAMETER))

    def inline(self, arguments: ast.arguments, body: Sequence[ast.AST], sources: Sequence[Source]) -> None:
        """Collect the effects of a function's body in place, as if it were called with any of `sources`."""
        if not sources and self.state.scopes:
            sources = [s for scope in self.state.scopes for name in scope.names.values() for s in name]
        bound, declared, _ = bound_names(body)
        names = {name: list[Source]() for name in bound}
        names |= {name: list(sources) for name in parameters_of(arguments)}
        with self.names.scope(Scope("function", names, declared)):
            self.body(body)

    def behaviour(
        self, name: str, arguments: ast.arguments, body: Sequence[ast.AST], owner: str = ""
    ) -> Behaviour:
        """Return the effects of calling a function later; `owner` is the class of a method."""
        parameters = parameters_of(arguments)
        bound, declared, _ = bound_names(body)
        names = {name: list[Source]() for name in bound}
        names |= {name: [Source(PARAMETER + name)] for name in parameters}
        for argument, default in defaults_of(arguments):
            names[argument.arg] += self.names.roots(default) if dotted(default) else ()
        if owner and parameters[:1] == ["cls"]:
            names["cls"].append(Source(owner))
        before, self.state.returns = self.state.returns, []
        outer, self.state.owner = (
            self.state.owner,
            (owner, parameters[0]) if owner and parameters else ("", ""),
        )
        attributes, self.state.class_attributes = (
            self.state.class_attributes,
            self.state.class_attributes if owner else frozenset(),
        )
        with self.names.collecting() as effects, self.names.scope(Scope("function", names, declared)):
            self.body(body)
            if len(body) == 1 and isinstance(body[0], ast.expr):
                self.state.returns += self.names.roots(body[0])
        returns, self.state.returns = tuple(dict.fromkeys(self.state.returns)), before
        self.state.owner, self.state.class_attributes = outer, attributes
        return Behaviour(
            name,
            tuple(PARAMETER + parameter for parameter in parameters),
            tuple(flattened_with_certainty(tuple(effects))),
            returns,
            positional=len(arguments.posonlyargs) + len(arguments.args),
            vararg=PARAMETER + arguments.vararg.arg if arguments.vararg else "",
            kwarg=PARAMETER + arguments.kwarg.arg if arguments.kwarg else "",
            mutable_defaults=_mutable_defaults(arguments),
            selects=any(map(selects, body)),
        )

    def body(self, body: Sequence[ast.AST]) -> None:
        """Collect the effects of statements, or of the expression of a lambda."""
        for node in body:
            self.state.visit(node)

    def _yield(self, node: ast.Yield | ast.YieldFrom | ast.Await) -> None:
        self.state.visit(node.value)
        if not isinstance(node, ast.Await) and node.value is not None:
            self.state.returns += self.names.roots(node.value)

    _yieldfrom = _yield

    def _subscript(self, node: ast.Subscript) -> None:
        named = variable_of_globals(node)
        if named and isinstance(node.ctx, ast.Load) and not self.names.in_function:
            self.state.out.append(Read(named, node.lineno, self.state.certain))
            return
        self.state.visit(node.value)
        self.state.visit(node.slice)
        self.state.out += [
            Mutate(s, node.lineno, "item") for s in self.names.roots(node.value) if s.relation == "same"
        ]

    def _call(self, node: ast.Call) -> None:
        path = dotted(node.func)
        self.state.visit(node.func)
        self.state.arguments += 1
        made = len(self.state.behaviours)
        arguments: list[tuple[int | str, tuple[Source, ...]]] = []
        for label, value in labelled(node):
            self.state.visit(value)
            arguments.append((label, self.names.roots(value)))
            if isinstance(value, ast.Attribute):
                self._method_argument(value, [other for _, other in labelled(node) if other is not value])
        self.state.arguments -= 1
        if path and self.names.find(path.partition(".")[0]) is not None:
            path = ""
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        receiver = self.names.roots(node.func.value if isinstance(node.func, ast.Attribute) else node.func)
        if method in CONTAINER_METHODS:  # it changes the container, not its elements
            receiver = tuple(source for source in receiver if source.relation != "holds")
        if method in HOLDING_METHODS and isinstance(node.func, ast.Attribute):
            self.names.put_into(node.func.value, (source for _, sources in arguments for source in sources))
        own, within = self._parts(node)
        asked = any(requests_in_place(keyword) for keyword in node.keywords)
        chosen = frozenset[str]().union(
            *map(self.names.names_in, selector_nodes(own)), *(c.selectors for c in within)
        )
        call = Call(
            node.lineno,
            path,
            method,
            receiver,
            tuple(arguments),
            inplace=asked or any(each.inplace for each in self._parts(node.func)[1]),
            behaviours=tuple(self.state.behaviours[made:]),
            selectors=chosen,
            paths=tuple((label, named) for label, value in labelled(node) if (named := dotted(value))),
        )
        self.state.out.append(call)
        self.state.calls[node] = call
        self._look_up(node, path, method)

    def _look_up(self, node: ast.Call, path: str, method: str) -> None:
        """Add the effects of a call through code in strings, names in strings or computed names."""
        if path in ("eval", "exec"):
            self._executed(node, path)
        elif path in LOOKUPS and not (path == "vars" and node.args):
            self.state.out.append(Dynamic(node.lineno))
        if method in CHANGING_METHODS and isinstance(node.func, ast.Attribute):
            self.assignments.name_source(node.func.value, node)
        if is_of_shell(node):
            self._executed_by_shell(node, method)
        if method in COMMANDS and is_of_shell(node):
            name = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else ""
            if method == "run_line_magic" and name in SETTING_MAGICS:
                self.state.out.append(Call(node.lineno, f"%{name}", "", ()))
            self._texts(node, _expanded)
            if method == "system":
                self.assignments.bind_name("_exit_code", node.lineno, constant=True)
        elif method in QUERIES:
            self._texts(node, _AT_NAME.findall)

    def _parts(self, expression: ast.expr) -> tuple[list[ast.AST], list[Call]]:
        """Return the nodes of an expression outside of calls that were analysed, and these calls."""
        own: list[ast.AST] = []
        within: list[Call] = []
        pending: list[ast.AST] = [expression]
        while pending:
            node = pending.pop()
            if node in self.state.calls:
                within.append(self.state.calls[node])
            else:
                own.append(node)
                pending += ast.iter_child_nodes(node)
        return own, within

    def _method_argument(self, method: ast.Attribute, others: Iterable[ast.expr]) -> None:
        """Add a call of a method that is an argument: the callee, like `map`, may apply it to the others."""
        owner = self.names.roots(method.value)
        if method.attr in CHANGING_METHODS:
            given = ((0, part_of(self.names.all_roots(others))),)
            self.state.out.append(Call(method.lineno, "", method.attr, owner, given, certain=False))
        elif method.attr == "__getitem__":
            self.state.out += [
                Mutate(source, method.lineno, "item") for source in owner if source.relation == "same"
            ]

    def _executed(self, node: ast.Call, path: str) -> None:
        """Add the effects of `eval` or `exec`; a string literal is analysed as if its code were here."""
        body = parsed(node.args[0] if node.args else None, path, node.lineno)
        if has_own_namespace(node):
            changed = self.names.roots(node.args[1]) if len(node.args) > 1 and path == "exec" else ()
            self.state.out += [Mutate(source, node.lineno) for source in changed]
        elif body is None:
            chosen = self.names.names_in(node)
            self.state.out.append(Dynamic(node.lineno, path == "exec", evaluates=True, selectors=chosen))
        elif path == "exec" and self.names.in_function:  # it binds local names of the function
            self.inline(NO_ARGUMENTS, body, ())
        else:
            self.body(body)

    def _executed_by_shell(self, node: ast.Call, method: str) -> None:
        """Add the effects of the code that `%timeit` measures, or of a script, which binds its names."""
        if method == "timeit":
            texts = [parsed(text, "exec", node.lineno) or [] for text in node.args[1:3]]
            self.inline(NO_ARGUMENTS, [statement for body in texts for statement in body], ())
        elif method == "run_script":
            self.body(script_in_place(node))
            for name in (names := bound_by_script(node)):
                self.assignments.bind_name(
                    name, node.lineno, tuple(Source(other, "part") for other in names[:MAX_TARGETS])
                )

    def _texts(self, node: ast.Call, names: Callable[[str], Iterable[str]]) -> None:
        """Add reads of the names that the strings among a call's arguments mention."""
        for argument in node.args[:2]:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                with self.names.uncertain():
                    for name in names(argument.value):
                        self.names.read(name, node.lineno)


def _mutable_defaults(arguments: ast.arguments) -> frozenset[str]:
    """Return the parameters whose default is mutable."""
    return frozenset(PARAMETER + a.arg for a, default in defaults_of(arguments) if not is_constant(default))


def _expanded(text: str) -> Iterator[str]:
    """Yield the names in `{expression}` and `$name` of a command."""
    try:
        fields = [
            f"{name}:{spec}" if spec else name for _, name, spec, _ in string.Formatter().parse(text) if name
        ]
    except ValueError:  # braces that belong to the command
        fields = []
    fields += [match[2] for match in DOLLAR.finditer(text)]
    for code in fields:
        try:
            tree = ast.parse(code.strip(), mode="eval")
        except SyntaxError:
            continue
        yield from (n.id for n in ast.walk(tree) if isinstance(n, ast.Name))
