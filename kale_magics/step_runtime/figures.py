"""Patches of libraries in a step: figures are closed when a cell ends, and `display` prints."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Callable, Collection
from typing import Any

DISPLAYS = ("IPython.core.display_functions", "IPython.display")
"""The modules that have IPython's own `display`."""


class Figures:
    """Closes figures when a notebook would: at `plt.show()`, and at the end of a cell.

    Args:
        display: The replacement for IPython's `display`.
        closes: Whether figures are closed at all.
        submodules: Submodules that code uses as attributes of packages, though the step may not import them.
    """

    def __init__(self, display: Any, closes: bool = True, submodules: Collection[str] = ()) -> None:
        self.undo, self.display_function = contextlib.ExitStack(), display
        self.pyplot: Any = None
        self.pending: dict[str, Callable[[Any], None]] = {
            name: lambda module: self.patch(module, "display", display) for name in DISPLAYS
        }
        for package in {name.rpartition(".")[0] for name in submodules}:
            self.pending[package] = self.adapt_package
        self.submodules = frozenset(submodules)
        if closes:
            self.pending["matplotlib.pyplot"] = self.adapt_pyplot

    def open(self) -> None:
        """Patch modules from here on, as they are imported."""
        sys.meta_path.insert(0, self)
        self.undo.callback(self.close)
        for name in list(self.pending):
            if name in sys.modules:
                with contextlib.suppress(Exception):  # a module that is partially imported
                    self.pending.pop(name)(sys.modules[name])

    def close(self) -> None:
        """Stop patching modules."""
        with contextlib.suppress(ValueError):  # the step itself has removed it
            sys.meta_path.remove(self)

    def patch(self, owner: Any, name: str, value: Any) -> None:
        """Change an attribute until the end."""
        before = getattr(owner, name)
        setattr(owner, name, value)
        self.undo.callback(setattr, owner, name, before)

    def find_spec(self, name: str, *_: Any) -> Any:
        """Find a module as a finder of `sys.meta_path` does, and patch it as soon as it is imported."""
        adapt = self.pending.pop(name, None)
        if adapt is None:
            return None
        spec = importlib.util.find_spec(name)  # from the finders that follow: the name is not pending here
        self.pending[name] = adapt
        loader: Any = spec and spec.loader
        execute: Any = getattr(loader, "exec_module", None)

        def exec_module(module: Any) -> None:
            execute(module)
            with contextlib.suppress(Exception):  # the user's import has succeeded
                self.pending.pop(name)(module)

        with contextlib.suppress(AttributeError):
            loader.exec_module = exec_module
        return spec

    def adapt_package(self, package: Any) -> None:
        """Let a package import a submodule on its first use as an attribute."""
        other = vars(package).get("__getattr__")

        def find(name: str) -> Any:
            full = f"{package.__name__}.{name}"
            try:
                if other is not None:
                    return other(name)
            except AttributeError:
                if full not in self.submodules:
                    raise
            if full in self.submodules:
                with contextlib.suppress(ImportError):  # then it is not an attribute either
                    return importlib.import_module(full)
            raise AttributeError(f"module {package.__name__!r} has no attribute {name!r}")

        package.__getattr__ = find
        if other is None:
            self.undo.callback(vars(package).pop, "__getattr__", None)
        else:
            self.undo.callback(setattr, package, "__getattr__", other)

    def adapt_pyplot(self, pyplot: Any) -> None:
        """Let `plt.show()` show figures, and show them automatically unless the user calls `plt.ioff()`."""
        self.pyplot = pyplot
        # It must be a function: pyplot sets its signature.
        self.patch(pyplot, "show", lambda *_, **__: self.show_figures())
        self.undo.callback(pyplot.ion if pyplot.isinteractive() else pyplot.ioff)
        pyplot.ion()

    def show_figures(self) -> None:
        """Close the open figures."""
        self.pyplot.close("all")

    def begin(self, label: str) -> None:
        """Begin a cell."""

    def end(self, value: Any) -> None:  # noqa: ARG002 - reports show it
        """End a cell; `value` is the value of its last expression, if it is to be shown."""
        if self.pyplot is not None and self.pyplot.isinteractive():
            self.show_figures()
