"""Recurring runs of a server: a pipeline that is started again and again."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import kfp_server_api

from kale_magics.kubeflow.secrecy import refuse_secrets
from kale_magics.kubeflow.server import TIMES, Server
from kale_magics.kubeflow.submission import Prepared, finder, label_of, write_once
from kale_magics.model.diagnostics import Code, Where, refuse
from kale_magics.syntax.arguments import length, parse_duration, whole_number

_PART = re.compile(r"([*?]|(?P<first>[0-9A-Z]+)(-(?P<last>[0-9A-Z]+))?)(/(?P<step>0*[1-9][0-9]*))?")

SHORTEST = timedelta(minutes=1)
"""Between two starts; what is shorter is a mistake."""


@dataclass(frozen=True)
class _Field:
    """A field of a cron expression: its bounds, and names that its numbers may have, from the least on."""

    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()

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

    KFP reads it with robfig/cron 1.2, which knows none of the signs L, W and #, and Sunday as 0 only.

    Args:
        text: Five fields, as in a crontab, or six with the seconds first.
        where: Where it stands, for the refusal.

    Raises:
        KaleError: It is none.
    """
    typed = text.split()
    fix = "write minute, hour, day, month and weekday: --cron '0 6 * * *' is every day at 6, in UTC"
    if len(typed) not in (5, 6):
        raise refuse(Code.BAD_ARGUMENTS, f"{text!r} is no time of cron", fix, where)
    typed = typed if len(typed) == 6 else ["0", *typed]
    numbers: dict[str, set[int]] = {}
    for field, part in zip(_FIELDS, typed, strict=True):
        numbers[field.name] = _numbers(field, part.upper())
        if not numbers[field.name]:
            message = f"{part!r} is no {field.name} of cron, which is {field.bounds}"
            raise refuse(Code.BAD_ARGUMENTS, message, fix, where)
    day = min(numbers["day"])
    # Where a weekday is given too, cron starts on the one as on the other.
    longest = max(calendar.monthrange(2024, month)[1] for month in numbers["month"])
    if day > longest and re.search(r"[*?]", typed[-1]):
        message = f"{text!r} never comes: no month that it names has a day {day}"
        raise refuse(Code.BAD_ARGUMENTS, message, "give another day or month", where)
    return " ".join(typed)


def _numbers(field: _Field, text: str) -> set[int]:
    """What a field of a cron expression means; nothing if it cannot be read."""
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
    """Of a number or a name; one that no field takes if it is neither."""
    if text in field.names:
        return field.least + field.names.index(text)
    number = whole_number(text)
    return -1 if number is None else number


def every_of(text: str, where: Where | None = None) -> timedelta:
    """The time between two starts.

    Args:
        text: As typed.
        where: Where it stands, for the refusal.

    Raises:
        KaleError: It is none, or shorter than anybody means.
    """
    fix = "write it as in --every 30m, 6h or 1d"
    if text.isdecimal():
        raise refuse(Code.BAD_ARGUMENTS, f"--every {text} does not say of which unit", fix, where)
    time = parse_duration(text, where)
    if time < SHORTEST:
        message = f"--every {text} is less than a minute, in which no run ends"
        raise refuse(Code.BAD_ARGUMENTS, message, fix, where)
    return time


def create(
    server: Server, prepared: Prepared, name: str, cron: str = "", every: timedelta | None = None
) -> Schedule:
    """Have a pipeline started again and again.

    Args:
        server: The server.
        prepared: The pipeline there.
        name: The beginning of the schedule's name.
        cron: When, as `cron_of` gives it; empty for `every`.
        every: Between two starts; a day if neither is given.

    Raises:
        KaleError: The server cannot be reached, or does not take it.
    """
    label = label_of(name)
    refuse_secrets(server.access.secrets, "the schedule's name", label)
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
        ask = client.recurring_runs.recurring_run_service_list_recurring_runs
        return lambda **asked: ask(**asked).recurring_runs

    made: Any = write_once(
        server,
        lambda client: client.recurring_runs.recurring_run_service_create_recurring_run(
            wanted, _request_timeout=TIMES
        ),
        finder(server, prepared, label, schedules),
        "a schedule was to be made",
        f"%kale_schedule{server.named or ' --host'} has it as {label!r}",
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
        lists="%kale_schedule",
    )


def _schedule(told: Any) -> Schedule:
    trigger = told.trigger
    if trigger and trigger.cron_schedule and trigger.cron_schedule.cron:
        # As it is typed in a crontab, which has no seconds.
        when = re.sub(r"^0 (?=(\S+ ){4}\S+$)", "", trigger.cron_schedule.cron)
    else:
        periodic = trigger.periodic_schedule if trigger else None
        when = f"every {length(timedelta(seconds=int(periodic.interval_second)))}" if periodic else ""
    return Schedule(told.recurring_run_id, told.display_name, when, told.status == "ENABLED")
