"""The function `display` of a step: it prints the terminal form of an object, and returns a handle."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

MAX_WIDTH = 79
"""Width of a line in which a container is shown, if it fits."""

MAX_ITEMS = 1000
"""Items of a container that are shown, as many as in IPython."""

BRACKETS: dict[type, tuple[str, str]] = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    set: ("{", "}"),
    frozenset: ("frozenset({", "})"),
    dict: ("{", "}"),
}


class DisplayHandle:
    """Shows objects in a place of its own, as IPython's `DisplayHandle`.

    Args:
        show: Shows objects, as `display` does.
        display_id: The name of the place.
    """

    def __init__(self, show: Callable[..., Any], display_id: str) -> None:
        self._show, self.display_id = show, display_id

    def display(self, value: Any, **options: Any) -> None:
        """Show an object."""
        self._show(value, display_id=self.display_id, **options)

    def update(self, value: Any, **options: Any) -> None:
        """Replace the object that is shown."""
        self._show(value, display_id=self.display_id, update=True, **options)

    def __repr__(self) -> str:
        return f"<DisplayHandle display_id={self.display_id}>"


class Display:
    """The function `display` of a step.

    Args:
        show: Receives the printed text, the object and the name of its place; "" for a new place.

    Attributes:
        count: How many names of places were generated.
    """

    def __init__(self, show: Callable[[str, Any, str], Any]) -> None:
        self.show, self.count = show, 0

    def __call__(
        self, *values: Any, display_id: Any = None, update: bool = False, raw: bool = False, **_: Any
    ) -> DisplayHandle | None:
        """Show objects, each on a line, as IPython's function of that name.

        Args:
            values: The objects.
            display_id: The name of the place; True for a generated name.
            update: Whether they replace what is shown there.
            raw: Whether they are dicts of representations by MIME type.
            _: Options for notebooks only.

        Returns:
            A handle for a place with a name.
        """
        if update and not display_id:
            raise TypeError("display_id required for update=True")
        if display_id is True:
            self.count += 1
            display_id = f"display-{self.count}"
        for value in values:
            shown = getattr(type(value), "_ipython_display_", None)
            if callable(shown) and not raw:
                shown(value)
            else:
                text = str(value.get("text/plain", "")) if raw else shown_text(value)
                self.show(text, value, display_id or "")
        return DisplayHandle(self, display_id) if display_id else None


def shown_text(value: Any) -> str:
    """Return what a terminal shows of an object; its type if its `__repr__` fails."""
    try:
        return pretty(value)
    except Exception:  # an object's __repr__ may raise anything
        return placeholder(value)


def placeholder(value: Any) -> str:
    """Return a placeholder for an object."""
    return f"(cannot be shown: {type(value).__name__})"


def pretty(value: Any, indent: int = 0, column: int = 0, above: tuple[int, ...] = ()) -> str:
    """Format an object as IPython prints it: a container that fits on no line has one for each item.

    Args:
        value: The object.
        indent: The indentation of the lines below the first one.
        column: The column where the first one begins.
        above: The `id` of the containers that it is in.
    """
    kind = type(value)
    if isinstance(value, type):
        return (
            value.__qualname__
            if value.__module__ == "builtins"
            else f"{value.__module__}.{value.__qualname__}"
        )
    if kind not in BRACKETS or not value:
        return repr(value)
    left, right = BRACKETS[kind]
    if id(value) in above:
        return f"{left}...{right}"
    inner, start, above = indent + len(left), column + len(left), (*above, id(value))
    if kind is dict:
        pairs = ((pretty(key, inner, start, above), item) for key, item in value.items())
        items = (f"{key}: {pretty(item, inner, start + len(key) + 2, above)}" for key, item in pairs)
    else:
        items = (pretty(item, inner, start, above) for item in ordered(value))
    texts = list(itertools.islice(items, MAX_ITEMS)) + ["..."] * (len(value) > MAX_ITEMS)
    right = f",{right}" if kind is tuple and len(value) == 1 else right
    flat = left + ", ".join(texts) + right
    if "\n" not in flat and column + len(flat) <= MAX_WIDTH:
        return flat
    return left + (",\n" + " " * inner).join(texts) + right


def ordered(container: Any) -> Any:
    """Return the items of a container; those of a set sorted, if they can be and are few."""
    if isinstance(container, (set, frozenset)) and len(container) <= MAX_ITEMS:
        try:
            return sorted(container)
        except Exception:  # the items' own comparison may raise anything
            return container
    return container


def print_text(text: str, *_: Any) -> None:
    """Print the text of an object."""
    print(text)
