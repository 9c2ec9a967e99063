"""Objects whose special methods raise, print, loop or give nonsense break nothing and are not asked.

Marking, `%kale`, `%kale_run`, the check and the steps know an object without running code of its class, but
for what pickle must ask when it crosses; where that fails the run is refused with a reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.campaigns import Try
from tests.campaigns.playing import run_cells, session, tracebacks_of_ours

METHODS = (
    "__getattr__ __getattribute__ __repr__ __str__ __eq__ __ne__ __lt__ __hash__ __len__ __bool__ __iter__"
    " __next__ __contains__ __getitem__ __setattr__ __call__ __sizeof__ __format__ __dir__ __array__"
    " __array_interface__ __int__ __float__ __index__ __enter__ __copy__ __deepcopy__ __fspath__"
    " __instancecheck__ __add__ __radd__ __iadd__ __matmul__ __getstate__ __reduce__ __reduce_ex__ __del__"
    " _repr_html_ _repr_mimebundle_ _ipython_display_"
).split()
PROPERTIES = (
    "__class__ __dict__ __doc__ __module__ __name__ shape columns dtype index values size __self__"
    " __wrapped__"
).split()
BEHAVIOURS = {
    "raises": "raise RuntimeError('hostile')",
    "prints": "print('HOSTILE')",
    "gives itself": "return self",
    "loops": "\n        while True: pass",
}
PICKLES = frozenset(
    "__getstate__ __reduce__ __reduce_ex__ __del__ __getattr__ __getattribute__ __class__ __dict__".split()
)
"""What pickle asks, or Python itself."""


def tries() -> Iterator[Try]:
    """Each method and attribute with each behaviour, in an object alone, in a list, as a class's own."""
    for name in (*METHODS, *PROPERTIES):
        for behaviour, code in BEHAVIOURS.items():
            if behaviour == "loops" and name in PICKLES:
                continue  # whoever lets it cross loops, and so would the notebook
            yield Try(f"{name} {behaviour}", partial(_one, name, code))


def _one(name: str, code: str) -> list[str]:
    decorator = "    @property\n" if name in PROPERTIES else ""
    definition = f"class Hostile:\n{decorator}    def {name}(self, *args, **keywords): {code}"
    cells = [
        f"%%kale functions\n{definition}",
        "%%kale step make\nh = object.__new__(Hostile)\nheld = [h]\nn = 1",
        "%%kale step add\nm = n + 1",
        "%%kale step use\nk = [held] and m",
        "%kale",
        "%kale_run",
    ]
    with session() as shell:
        outcomes = run_cells(shell, cells)
    complaints = tracebacks_of_ours(outcomes)
    for cell, outcome in zip(cells, outcomes, strict=True):
        told = "KALE" in outcome.printed
        if not outcome.success and not (cell == "%kale_run" and told):
            complaints.append(
                f"{cell.splitlines()[0]} fails: {outcome.error!r:.200} {outcome.printed[-300:]}"
            )
        if "HOSTILE" in outcome.printed and name not in PICKLES:
            complaints.append(f"{cell.splitlines()[0]} asks it")
    return complaints
