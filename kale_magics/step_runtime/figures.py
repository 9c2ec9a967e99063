"""What modules do otherwise in a notebook: figures are closed when a cell ends, `display` shows."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Callable, Collection
from typing import Any

DISPLAYS = ("IPython.core.display_functions", "IPython.display")
"""Where IPython's own `display` is."""


class Figures:
    """Closes figures when a notebook would: at `plt.show()`, and when a cell ends.

    Args:
        display: What takes the place of IPython's `display`.
        closes: Whether figures are closed at all.
        submodules: Those that packages have as attributes, though nothing in the step may have imported them.
    """

    def __init__(self, display: Any, closes: bool = True, submodules: Collection[str] = ()) -> None:
        self.undo, self.shows = contextlib.ExitStack(), display
        self.pyplot: Any = None
        self.awaited: dict[str, Callable[[Any], None]] = {
            name: lambda module: self.patch(module, "display", display) for name in DISPLAYS
        }
        for package in {name.rpartition(".")[0] for name in submodules}:
            self.awaited[package] = self.adapt_package
        self.submodules = frozenset(submodules)
        if closes:
            self.awaited["matplotlib.pyplot"] = self.adapt_pyplot

    def open(self) -> None:
        """From here on see what is imported."""
        sys.meta_path.insert(0, self)
        self.undo.callback(self.close)
        for name in list(self.awaited):
            if name in sys.modules:
                with contextlib.suppress(Exception):  # a module that is half there
                    self.awaited.pop(name)(sys.modules[name])

    def close(self) -> None:
        """See no more of what is imported."""
        with contextlib.suppress(ValueError):  # the step itself has taken it away
            sys.meta_path.remove(self)

    def patch(self, owner: Any, name: str, value: Any) -> None:
        """Change an attribute until the end."""
        before = getattr(owner, name)
        setattr(owner, name, value)
        self.undo.callback(setattr, owner, name, before)

    def find_spec(self, name: str, *_: Any) -> Any:
        """As a finder of `sys.meta_path`: adapt a module as soon as it is imported."""
        adapt = self.awaited.pop(name, None)
        if adapt is None:
            return None
        spec = importlib.util.find_spec(name)  # from the finders that follow: here the name is not awaited
        self.awaited[name] = adapt
        loader: Any = spec and spec.loader
        execute: Any = getattr(loader, "exec_module", None)

        def exec_module(module: Any) -> None:
            execute(module)
            with contextlib.suppress(Exception):  # the import is the user's, and has succeeded
                self.awaited.pop(name)(module)

        with contextlib.suppress(AttributeError):
            loader.exec_module = exec_module
        return spec

    def adapt_package(self, package: Any) -> None:
        """Let a package import the submodules on first use that code takes for its attributes."""
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
                with contextlib.suppress(ImportError):  # then it is no attribute either
                    return importlib.import_module(full)
            raise AttributeError(f"module {package.__name__!r} has no attribute {name!r}")

        package.__getattr__ = find
        if other is None:
            self.undo.callback(vars(package).pop, "__getattr__", None)
        else:
            self.undo.callback(setattr, package, "__getattr__", other)

    def adapt_pyplot(self, pyplot: Any) -> None:
        """Let `plt.show()` show, and let figures come by themselves, until the user says `plt.ioff()`."""
        self.pyplot = pyplot
        # A function: pyplot sets its signature.
        self.patch(pyplot, "show", lambda *_, **__: self.show_figures())
        self.undo.callback(pyplot.ion if pyplot.isinteractive() else pyplot.ioff)
        pyplot.ion()

    def show_figures(self) -> None:
        """Close the open figures."""
        self.pyplot.close("all")

    def begin(self, label: str) -> None:
        """A cell begins."""

    def end(self, value: Any) -> None:  # noqa: ARG002 - reports show it
        """A cell ends; `value` is what its last expression gave, if that is to be shown."""
        if self.pyplot is not None and self.pyplot.isinteractive():
            self.show_figures()
