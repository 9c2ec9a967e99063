"""The help of magics, which `%name?` shows."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from kale_magics.syntax import arguments
from kale_magics.syntax.arguments import Syntax

Function = TypeVar("Function", bound=Callable[..., Any])


def documented(*syntaxes: Syntax) -> Callable[[Function], Function]:
    """Return a decorator that adds the usage of a magic to its docstring."""

    def add(function: Function) -> Function:
        function.__doc__ = f"{inspect.cleandoc(function.__doc__ or '')}\n\n{arguments.usage(syntaxes)}\n"
        return function

    return add
