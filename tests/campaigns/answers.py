"""Whatever a server answers, a run is never started twice, never lost, and nothing is written outside.

After each answer that the API does not document, the magic says so in a sentence: no traceback, and no "None"
in the place of an id.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.campaigns import Try
from tests.campaigns.playing import run_cells, session, tracebacks_of_ours
from tests.kfp_server import KfpServer
from tests.pods import pod

TEXTS = {
    "nothing": "",
    "an empty object": "{}",
    "an empty list": "[]",
    "null": "null",
    "a number": "3",
    "a text": '"runs"',
    "a cut object": '{"run_id": "7',
    "an id that is a path": json.dumps({"run_id": "../../out", "runs": [{"run_id": "../../out"}]}),
    "an id that is absolute": json.dumps(
        {"run_id": "/tmp/out", "experiment_id": "/tmp/out", "pipeline_id": "/x"}
    ),
    "an id that is a number": json.dumps(
        {"run_id": 7, "experiment_id": 7, "pipeline_id": 7, "recurring_run_id": 7}
    ),
    "wrong types": json.dumps(
        {"runs": 1, "experiments": "x", "pipelines": {}, "state": [], "run_details": 3}
    ),
    "a list of nothing": json.dumps({"runs": [None], "experiments": [None], "pipelines": [None]}),
    "a page": "<html><body>Log in</body></html>",
    "an error": json.dumps({"error": "no", "code": 13, "message": "no"}),
    "a million of brackets": "[" * 100_000,
}
PLACES = {
    "health": ("GET", "/healthz"),
    "the list of pipelines": ("GET", "/pipelines$"),
    "the making of a pipeline": ("POST", "/pipelines$"),
    "the list of versions": ("GET", "/versions$"),
    "the upload": ("POST", "upload_version"),
    "the list of experiments": ("GET", "/experiments$"),
    "the making of an experiment": ("POST", "/experiments$"),
    "the list of runs": ("GET", "/runs$"),
    "the start": ("POST", "/runs$"),
    "the run": ("GET", "/runs/"),
    "the log": ("GET", "/log"),
    "an artifact": ("GET", "/artifacts"),
}


ALWAYS = ("health", "the list of runs", "the start", "the run")


def tries() -> Iterator[Try]:
    """Each answer at each place, once, and at some always; the list of runs when a start was not answered."""
    for place, (method, path) in PLACES.items():
        for name, text in TEXTS.items():
            for how, times in (("once", 1), ("always", 1_000))[: 1 + (place in ALWAYS)]:
                lost = place == "the list of runs"
                yield Try(f"{place} is {name}, {how}", partial(_one, method, path, text, times, lost))


def _one(method: str, path: str, text: str, times: int, lost: bool) -> list[str]:
    script = {"load": pod("load", "loaded\n", rows=[1, 2]), "add": pod("add", "total 3\n")}
    with KfpServer(Path("server").absolute(), script=script) as server, session() as shell:
        cells = [
            "%%kale step load\nrows = [1, 2]\nprint('loaded')",
            "%%kale step add\ntotal = sum(rows)\nprint('total', total)",
            f"%kale_run --host {server.url} --no-wait",
        ]
        if lost:
            server.drop("POST", "/runs$", after=True)
        kind = "text/html" if "<html>" in text else "application/json"
        server.say(method, path, text, times, kind, after=method == "POST")
        outcomes = run_cells(shell, cells)
        ids = list(server.runs)
        after = [
            f"%kale_runs --host {server.url}",
            f"%kale_attach {ids[0] if ids else 'none'} --host {server.url}",
        ]
        outcomes += run_cells(shell, after) if times == 1 else []
        complaints = tracebacks_of_ours(outcomes)
        server.errors.clear()
    if len(ids) > 1:
        complaints.append(f"{len(ids)} runs were started")
    for outcome in outcomes[2:]:
        if "KALE901" in outcome.printed or (not outcome.success and "KALE" not in outcome.printed):
            complaints.append(outcome.printed[-500:])
        if "None" in outcome.printed:
            complaints.append(f"it says None: {outcome.printed[-300:]}")
    known = [run.resource["display_name"] in outcomes[2].printed for run in server.runs.values()]
    if not outcomes[2].success and not all(known):
        complaints.append(f"the run is lost: {outcomes[2].printed[-300:]}")
    complaints += [f"something was written to {p}" for p in (Path("../out"), Path("/tmp/out")) if p.exists()]
    return complaints
