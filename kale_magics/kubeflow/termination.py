"""Ends a run on a server."""

from __future__ import annotations

from typing import Any

from kale_magics.kubeflow.client import TIMEOUTS, KfpClient
from kale_magics.kubeflow.server_states import ENDING, ended_run_state
from kale_magics.model.diagnostics import KaleError


def terminate(server: KfpClient, run_id: str) -> str:
    """Request the end of a run; without effect on a run that has ended.

    Returns:
        What happened, as a sentence.

    Raises:
        KaleError: The server has no such run, or does not end it.
    """

    def request() -> Any:
        return server.read(
            lambda client: client.runs.run_service_get_run(run_id, _request_timeout=TIMEOUTS),
            f"looking up run {run_id}",
        )

    before = ended_run_state(request())
    if before is not None:
        how = "been cancelled" if before == "cancelled" else before
        return f"run {run_id} has ended: it has {how}"
    try:
        server.read(
            lambda client: client.runs.run_service_terminate_run(run_id, _request_timeout=TIMEOUTS),
            f"ending run {run_id}",
        )
    except KaleError:
        # The answer to the first request may have been lost, or the run may have ended meanwhile.
        answer = request()
        if answer.state not in ENDING and ended_run_state(answer) is None:
            raise
    return f"the server is ending run {run_id}"
