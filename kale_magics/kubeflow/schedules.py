"""Recurring runs of a server: a pipeline that is started again and again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import kfp_server_api

from kale_magics.diagnostics import Code, Where, refuse
from kale_magics.kubeflow.server import TIMES, Server
from kale_magics.kubeflow.submission import first, named, prepare
from kale_magics.pipeline import Json, Pipeline

_FIELD = re.compile(r"[\d*/,\-?LW#A-Za-z]+")


@dataclass(frozen=True)
class Schedule:
    """A recurring run.

    Attributes:
        id: The server's.
        name: For people.
        when: When it starts runs, in words.
        enabled: Whether it does so at present.
    """

    id: str
    name: str
    when: str
    enabled: bool


def cron_of(text: str, where: Where | None = None) -> str:
    """A cron expression as KFP takes it, which begins with seconds.

    Args:
        text: Five fields, as in a crontab, or six with the seconds first.
        where: Where it stands, for the refusal.

    Raises:
        KaleError: It is none.
    """
    fields = text.split()
    if len(fields) not in (5, 6) or not all(map(_FIELD.fullmatch, fields)):
        message = f"{text!r} is no time of cron"
        fix = "write minute, hour, day, month and weekday: --cron '0 6 * * *' is every day at 6, in UTC"
        raise refuse(Code.BAD_ARGUMENTS, message, fix, where)
    return " ".join(fields if len(fields) == 6 else ["0", *fields])


def create(
    server: Server,
    pipeline: Pipeline,
    folder: Path,
    values: Mapping[str, Json],
    *,
    name: str,
    experiment: str,
    cron: str = "",
    every: timedelta | None = None,
) -> Schedule:
    """Have a pipeline started again and again.

    Args:
        server: The server.
        pipeline: What runs.
        folder: That of the notebook, from which steps take files along.
        values: Of parameters, by the user's names.
        name: Of the schedule.
        experiment: Its experiment; empty for one of the pipeline's name.
        cron: When, as `cron_of` gives it; empty for `every`.
        every: Between two starts.

    Raises:
        KaleError: The server cannot be reached, or does not take it.
    """
    prepared = prepare(server, pipeline, folder, values, experiment)
    if cron:
        trigger = kfp_server_api.V2beta1Trigger(cron_schedule=kfp_server_api.V2beta1CronSchedule(cron=cron))
    else:
        seconds = str(int((every or timedelta(days=1)).total_seconds()))
        periodic = kfp_server_api.V2beta1PeriodicSchedule(interval_second=seconds)
        trigger = kfp_server_api.V2beta1Trigger(periodic_schedule=periodic)
    wanted = kfp_server_api.V2beta1RecurringRun(
        display_name=name,
        experiment_id=prepared.experiment_id,
        pipeline_version_reference=prepared.reference,
        runtime_config=prepared.config,
        trigger=trigger,
        mode=kfp_server_api.RecurringRunMode.ENABLE,
        max_concurrency="1",
        no_catchup=True,
    )
    made: Any = server.write(
        lambda client: client.recurring_runs.recurring_run_service_create_recurring_run(
            wanted, _request_timeout=TIMES
        ),
        lambda client: first(
            client.recurring_runs.recurring_run_service_list_recurring_runs(
                experiment_id=prepared.experiment_id, filter=named(name), _request_timeout=TIMES
            ).recurring_runs
        ),
        "a schedule was to be made",
    )
    return _schedule(made)


def schedules(server: Server) -> list[Schedule]:
    """The recurring runs of a server, all pages of them."""
    found: list[Schedule] = []
    token = ""
    while True:

        def ask(client: Any, token: str = token) -> Any:
            return client.recurring_runs.recurring_run_service_list_recurring_runs(
                namespace=server.namespace or None, page_token=token, page_size=100, _request_timeout=TIMES
            )

        page = server.read(ask, "the schedules were looked up")
        found += map(_schedule, page.recurring_runs or ())
        token = page.next_page_token or ""
        if not token:
            return found


def change(server: Server, schedule_id: str, action: str) -> None:
    """Enable, disable or delete a recurring run.

    Args:
        server: The server.
        schedule_id: Its id.
        action: "enable", "disable" or "delete".

    Raises:
        KaleError: There is none.
    """
    operation = f"recurring_run_service_{action}_recurring_run"
    server.read(
        lambda client: getattr(client.recurring_runs, operation)(schedule_id, _request_timeout=TIMES),
        f"schedule {schedule_id} was to be changed",
    )


def _schedule(told: Any) -> Schedule:
    trigger = told.trigger
    if trigger and trigger.cron_schedule and trigger.cron_schedule.cron:
        when = trigger.cron_schedule.cron
    else:
        periodic = trigger.periodic_schedule if trigger else None
        when = f"every {timedelta(seconds=int(periodic.interval_second))}" if periodic else ""
    return Schedule(told.recurring_run_id, told.display_name, when, told.status == "ENABLED")
