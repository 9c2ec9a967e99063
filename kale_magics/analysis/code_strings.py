"""Code in string literals of calls: of `eval` and `exec`, of `%timeit`, of scripts."""

from __future__ import annotations

import ast

from kale_magics.analysis.scripts import scripts_in

NO_ARGUMENTS = ast.arguments([], [], None, [], [], None, [])


def parsed(node: ast.expr | None, mode: str = "exec", line: int = 1) -> list[ast.AST] | None:
    """Return the statements of a string, or its expression; None if it is computed, or is not Python.

    Args:
        node: The argument of the call.
        mode: "exec" for statements, "eval" for an expression.
        line: The line of the cell that all of its nodes get.
    """
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        return None
    try:
        tree = ast.parse(node.value.strip() if mode == "eval" else node.value, mode=mode)
    except (SyntaxError, ValueError):
        return None
    for child in ast.walk(tree):
        if hasattr(child, "lineno"):
            child.lineno = child.end_lineno = line  # type: ignore[attr-defined]  # nodes have both or neither
    return [tree.body] if isinstance(tree, ast.Expression) else list(getattr(tree, "body", []))


def has_own_namespace(call: ast.Call) -> bool:
    """Whether a call of `eval` or `exec` passes a namespace that is not the notebook's."""
    others = [*call.args[1:], *(keyword.value for keyword in call.keywords)]
    return bool(others) and not any(
        isinstance(other, ast.Call)
        and isinstance(other.func, ast.Name)
        and other.func.id in ("globals", "locals", "vars")
        for other in others
    )


def bound_by_script(call: ast.Call) -> list[str]:
    """Return the names that a call of `run_script` binds."""
    names = call.args[3].elts if len(call.args) == 4 and isinstance(call.args[3], ast.List) else []
    return [str(name.value) for name in names if isinstance(name, ast.Constant)]


def script_in_place(call: ast.Call) -> list[ast.AST]:
    """Return the statements of a script that runs in the notebook's namespace (`%run -i`); else none."""
    flags = ast.unparse(call.args[2]) if len(call.args) == 4 else ""
    return [statement for tree in scripts_in(call) for statement in tree.body] if "'-i'" in flags else []
