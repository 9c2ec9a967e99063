"""What `%name?` shows of a magic."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from kale_magics.syntax import arguments
from kale_magics.syntax.arguments import Syntax

Function = TypeVar("Function", bound=Callable[..., Any])


def documented(*syntaxes: Syntax) -> Callable[[Function], Function]:
    """Add to a magic's docstring how the magic is written, so that `%name?` helps."""

    def add(function: Function) -> Function:
        function.__doc__ = f"{inspect.cleandoc(function.__doc__ or '')}\n\n{arguments.usage(syntaxes)}\n"
        return function

    return add
