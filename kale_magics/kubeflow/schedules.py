"""Recurring runs of a server: a pipeline that is started again and again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import kfp_server_api

from kale_magics.diagnostics import Code, Where, refuse
from kale_magics.kubeflow.server import TIMES, Server
from kale_magics.kubeflow.submission import Prepared, first, named

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
    server: Server, prepared: Prepared, name: str, cron: str = "", every: timedelta | None = None
) -> Schedule:
    """Have a pipeline started again and again.

    Args:
        server: The server.
        prepared: The pipeline there.
        name: Of the schedule.
        cron: When, as `cron_of` gives it; empty for `every`.
        every: Between two starts; a day if neither is given.

    Raises:
        KaleError: The server cannot be reached, or does not take it.
    """
    wanted = kfp_server_api.V2beta1RecurringRun(
        display_name=name,
        experiment_id=prepared.experiment_id,
        pipeline_version_reference=prepared.reference,
        runtime_config=prepared.config,
        trigger=_trigger(cron, every or timedelta(days=1)),
        mode=kfp_server_api.RecurringRunMode.ENABLE,
        max_concurrency="1",
        no_catchup=True,
    )

    def find(client: Any) -> Any:
        return first(
            client.recurring_runs.recurring_run_service_list_recurring_runs(
                experiment_id=prepared.experiment_id, filter=named(name), _request_timeout=TIMES
            ).recurring_runs
        )

    made: Any = server.write(
        lambda client: client.recurring_runs.recurring_run_service_create_recurring_run(
            wanted, _request_timeout=TIMES
        ),
        find,
        "a schedule was to be made",
    )
    return _schedule(made)


def _trigger(cron: str, every: timedelta) -> Any:
    if cron:
        return kfp_server_api.V2beta1Trigger(cron_schedule=kfp_server_api.V2beta1CronSchedule(cron=cron))
    periodic = kfp_server_api.V2beta1PeriodicSchedule(interval_second=str(int(every.total_seconds())))
    return kfp_server_api.V2beta1Trigger(periodic_schedule=periodic)


def schedules(server: Server) -> list[Schedule]:
    """The recurring runs of a server, all pages of them."""
    found: list[Schedule] = []
    token = ""
    while True:

        def ask(client: Any, token: str = token) -> Any:
            return client.recurring_runs.recurring_run_service_list_recurring_runs(
                page_token=token, page_size=100, _request_timeout=TIMES, **server.scope
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
