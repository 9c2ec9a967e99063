"""Execute a notebook in a copy and show in the terminal what its pipeline is and says."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SHOWN = ("%kale_graph", "%kale_run")
"""Cells with one of these are shown with what comes of them, as soon as they have ended."""


def main(notebook: Path, folder: Path) -> int:
    """Execute a notebook, write it to a folder and print what its pipeline said.

    Args:
        notebook: An `.ipynb` file; it is left as it is.
        folder: Where the executed copy goes, and where its cells run; made if it is not there.

    Returns:
        0, or 1 if a cell failed.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    content = nbformat.read(notebook, as_version=4)
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / notebook.name
    print(f"Running the cells of {notebook} ...", flush=True)
    # The kernel is the one of this Python, whatever the notebook was written with.
    client = NotebookClient(
        content,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--log-level=ERROR"],
        on_cell_executed=show,
    )
    try:
        client.execute()
    except CellExecutionError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        nbformat.write(content, copy)
    print(f"\nThe notebook with all its outputs: {copy}")
    return 0


def show(cell: Any, **_: object) -> None:
    """Print a cell about the pipeline, with its outputs; nbclient calls this after each."""
    if cell.cell_type == "code" and any(magic in cell.source for magic in SHOWN):
        typed = cell.source.replace("\n", "\n    ")
        print(f"\n>>> {typed}\n", *texts(cell.outputs), sep="\n", flush=True)


def texts(outputs: list[Any]) -> Iterator[str]:
    """The outputs of a cell as a terminal can show them."""
    for output in outputs:
        if output.output_type == "stream":
            yield output.text.rstrip("\n")
        elif "text/plain" in output.get("data", {}):
            yield output.data["text/plain"]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
