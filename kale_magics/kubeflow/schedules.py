"""Schedules: recurring runs on a server."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import kfp_server_api

from kale_magics.kubeflow.client import TIMEOUTS, KfpClient
from kale_magics.kubeflow.secret_scan import check_secrets
from kale_magics.kubeflow.submission import PreparedRun, create_once, finder, label_of
from kale_magics.model.diagnostics import Code, Where, kale_error
from kale_magics.syntax.arguments import length, parse_duration, whole_number

_PART = re.compile(r"([*?]|(?P<first>[0-9A-Z]+)(-(?P<last>[0-9A-Z]+))?)(/(?P<step>0*[1-9][0-9]*))?")

MIN_INTERVAL = timedelta(minutes=1)
"""Between two starts."""


@dataclass(frozen=True)
class _Field:
    """A field of a cron expression: its bounds, and the names that its numbers may have, in order."""

    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()

    @property
    def article(self) -> str:
        return "an" if self.name == "hour" else "a"

    @property
    def bounds(self) -> str:
        named = f", {self.names[0]} to {self.names[-1]}" if self.names else ""
        return f"{self.least} to {self.most}{named}"


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, tuple("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split())),
    _Field("weekday", 0, 6, tuple("SUN MON TUE WED THU FRI SAT".split())),
)


@dataclass(frozen=True)
class Schedule:
    """A recurring run.

    Attributes:
        id: The server's id.
        name: The display name.
        when: When it starts runs, in words.
        enabled: Whether it is enabled.
    """

    id: str
    name: str
    when: str
    enabled: bool


def cron_of(text: str, where: Where | None = None) -> str:
    """Return a cron expression for KFP, which starts with seconds.

    KFP parses it with robfig/cron 1.2, which has none of the signs L, W and #, and Sunday only as 0.

    Args:
        text: Five fields, as in a crontab, or six with the seconds first.
        where: Where the user wrote it.

    Raises:
        KaleError: It is not a cron expression.
    """
    typed = text.split()
    fix = "write minute, hour, day, month and weekday: --cron '0 6 * * *' is every day at 6, in UTC"
    if len(typed) not in (5, 6):
        raise kale_error(Code.BAD_ARGUMENTS, f"{text!r} is not a cron expression", fix, where)
    typed = typed if len(typed) == 6 else ["0", *typed]
    numbers: dict[str, set[int]] = {}
    for field, part in zip(_FIELDS, typed, strict=True):
        numbers[field.name] = _numbers(field, part.upper())
        if not numbers[field.name]:
            message = f"{part!r} is not {field.article} {field.name} of cron, which is {field.bounds}"
            raise kale_error(Code.BAD_ARGUMENTS, message, fix, where)
    day = min(numbers["day"])
    # With a weekday too, cron starts on either.
    longest = max(calendar.monthrange(2024, month)[1] for month in numbers["month"])
    if day > longest and re.search(r"[*?]", typed[-1]):
        message = f"{text!r} never starts a run: none of its months has a day {day}"
        raise kale_error(Code.BAD_ARGUMENTS, message, "change the day or the month", where)
    return " ".join(typed)


def _numbers(field: _Field, text: str) -> set[int]:
    """Return the numbers that a field of a cron expression matches; empty if it cannot be parsed."""
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            return set()
        first, last = match["first"], match["last"] or ("" if match["step"] else match["first"])
        least = _number(field, first) if first else field.least
        most = _number(field, last) if last else field.most
        if not field.least <= least <= most <= field.most:
            return set()
        found.update(range(least, most + 1, whole_number(match["step"] or "1") or most + 1))
    return found


def _number(field: _Field, text: str) -> int:
    """Return the value of a number or a name; -1, which no field allows, if it is neither."""
    if text in field.names:
        return field.least + field.names.index(text)
    number = whole_number(text)
    return -1 if number is None else number


def every_of(text: str, where: Where | None = None) -> timedelta:
    """Return the time between two starts.

    Args:
        text: The user's text.
        where: Where the user wrote it.

    Raises:
        KaleError: It is not a duration, or too short.
    """
    fix = "write a duration such as --every 30m, 6h or 1d"
    if text.isdecimal():
        raise kale_error(Code.BAD_ARGUMENTS, f"--every {text} has no unit", fix, where)
    time = parse_duration(text, where)
    if time < MIN_INTERVAL:
        message = f"--every {text} is shorter than a minute"
        raise kale_error(Code.BAD_ARGUMENTS, message, fix, where)
    return time


def create(
    server: KfpClient, prepared: PreparedRun, name: str, cron: str = "", every: timedelta | None = None
) -> Schedule:
    """Create a schedule.

    Args:
        server: The server.
        prepared: The pipeline there.
        name: The beginning of the schedule's name.
        cron: A cron expression (`cron_of`); empty for `every`.
        every: The time between two starts; a day if neither is given.

    Raises:
        KaleError: The server cannot be reached, or rejects the schedule.
    """
    label = label_of(name)
    check_secrets(server.access.secrets, "the schedule's name", label)
    wanted = kfp_server_api.V2beta1RecurringRun(
        display_name=label,
        experiment_id=prepared.experiment_id,
        pipeline_version_reference=prepared.reference,
        runtime_config=prepared.config,
        trigger=_trigger(cron, every or timedelta(days=1)),
        mode=kfp_server_api.RecurringRunMode.ENABLE,
        max_concurrency="1",
        no_catchup=True,
    )

    def schedules(client: Any) -> Callable[..., list[Any] | None]:
        list_all = client.recurring_runs.recurring_run_service_list_recurring_runs
        return lambda **query: list_all(**query).recurring_runs

    created: Any = create_once(
        server,
        lambda client: client.recurring_runs.recurring_run_service_create_recurring_run(
            wanted, _request_timeout=TIMEOUTS
        ),
        finder(server, prepared, label, schedules),
        "creating the schedule",
        f"%kale_schedule{server.host_option or ' --host'} lists it as {label!r}",
    )
    return _schedule(created)


def _trigger(cron: str, every: timedelta) -> Any:
    if cron:
        return kfp_server_api.V2beta1Trigger(cron_schedule=kfp_server_api.V2beta1CronSchedule(cron=cron))
    periodic = kfp_server_api.V2beta1PeriodicSchedule(interval_second=str(int(every.total_seconds())))
    return kfp_server_api.V2beta1Trigger(periodic_schedule=periodic)


def schedules(server: KfpClient) -> list[Schedule]:
    """Return all schedules of a server."""
    found: list[Schedule] = []
    token = ""
    while True:

        def request(client: Any, token: str = token) -> Any:
            return client.recurring_runs.recurring_run_service_list_recurring_runs(
                page_token=token, page_size=100, _request_timeout=TIMEOUTS, **server.namespace_argument
            )

        page = server.read(request, "listing the schedules")
        found += map(_schedule, page.recurring_runs or ())
        token = page.next_page_token or ""
        if not token:
            return found


def change(server: KfpClient, schedule_id: str, action: str) -> None:
    """Enable, disable or delete a schedule.

    Args:
        server: The server.
        schedule_id: The schedule's id.
        action: "enable", "disable" or "delete".

    Raises:
        KaleError: The server has no such schedule, or the request failed.
    """
    operation = f"recurring_run_service_{action}_recurring_run"
    server.read(
        lambda client: getattr(client.recurring_runs, operation)(schedule_id, _request_timeout=TIMEOUTS),
        f"changing schedule {schedule_id}",
        list_command="%kale_schedule",
    )


def _schedule(run: Any) -> Schedule:
    """Return a schedule from KFP's `V2beta1RecurringRun`."""
    trigger = run.trigger
    if trigger and trigger.cron_schedule and trigger.cron_schedule.cron:
        # A crontab has no seconds.
        when = re.sub(r"^0 (?=(\S+ ){4}\S+$)", "", trigger.cron_schedule.cron)
    else:
        periodic = trigger.periodic_schedule if trigger else None
        when = f"every {length(timedelta(seconds=int(periodic.interval_second)))}" if periodic else ""
    return Schedule(run.recurring_run_id, run.display_name, when, run.status == "ENABLED")
