"""Recurring runs: schedules, which make a run only when a test says that it is time."""

from __future__ import annotations

from typing import Any

from tests.kfp_server.documents import arguments
from tests.kfp_server.errors import invalid
from tests.kfp_server.experiments import experiment_of
from tests.kfp_server.listing import PARAMETERS, page
from tests.kfp_server.nodes import now
from tests.kfp_server.routing import Call, route
from tests.kfp_server.runs import add_run, home, source
from tests.kfp_server.service import Service
from tests.kfp_server.store import Resource, Run, filled, get, new_id, set_mode, suffix

CRON_FIELDS = (5, 6)


def recurring_run_of(service: Service, call: Call) -> Resource:
    """The schedule that a path names."""
    recurring_run: Resource = get(service.store.recurring_runs, "RecurringRun", call["recurring_run_id"])
    service.admit(call.user, recurring_run.get("namespace", ""))
    return recurring_run


def check_trigger(trigger: dict[str, Any]) -> None:
    """Refuse a schedule without times."""
    cron, periodic = trigger.get("cron_schedule"), trigger.get("periodic_schedule")
    if bool(cron) == bool(periodic):
        raise invalid("exactly one of cron_schedule and periodic_schedule is required")
    if cron and len((cron.get("cron") or "").split()) not in CRON_FIELDS:
        raise invalid(f"Schedule cron is not a supported format: {cron.get('cron')!r}")
    if periodic and int(periodic.get("interval_second") or 0) < 1:
        raise invalid("Found invalid period schedule interval: set it to at least 1 second")


def texts(trigger: dict[str, Any]) -> dict[str, Any]:
    """A schedule as the API tells it: 64-bit integers are texts."""
    return {
        kind: {name: str(value) for name, value in schedule.items()}
        for kind, schedule in trigger.items()
        if schedule
    }


def make_run(service: Service, recurring_run: Resource) -> Run:
    """The run that a schedule makes when it is time."""
    experiment = get(service.store.experiments, "Experiment", recurring_run["experiment_id"])
    names = (
        "recurring_run_id",
        "pipeline_spec",
        "pipeline_version_reference",
        "runtime_config",
        "service_account",
    )
    fields = {name: recurring_run[name] for name in names if name in recurring_run}
    return add_run(
        service, {**fields, "display_name": f"{recurring_run['display_name']}-{suffix()}"}, experiment
    )


@route(
    "POST",
    "/recurringruns",
    body="V2beta1RecurringRun",
    required=("display_name", "trigger", "max_concurrency"),
)
def create_recurring_run(service: Service, call: Call) -> Resource:
    body = call.body
    check_trigger(body["trigger"])
    if not 1 <= int(body["max_concurrency"]) <= 10:
        raise invalid("Max concurrency of a recurring run must be at least 1 and at most 10")
    experiment = home(service, call, body.get("experiment_id") or "", "a recurring run")
    origin, document = source(service, body)
    config = body.get("runtime_config") or {}
    arguments(document, config.get("parameters") or {})
    reference = body.get("pipeline_version_reference")
    recurring_run = filled(
        recurring_run_id=new_id(),
        display_name=body["display_name"],
        description=body.get("description"),
        **({"pipeline_version_reference": reference} if reference else origin),
        runtime_config=config,
        service_account=body.get("service_account") or "pipeline-runner",
        max_concurrency=str(body["max_concurrency"]),
        trigger=texts(body["trigger"]),
        created_at=now(),
        no_catchup=body.get("no_catchup"),
        namespace=experiment.get("namespace", ""),
        experiment_id=experiment["experiment_id"],
    )
    set_mode(recurring_run, enabled=body.get("mode") == "ENABLE")
    service.store.recurring_runs[recurring_run["recurring_run_id"]] = recurring_run
    return recurring_run


@route("GET", "/recurringruns", query=("namespace", "experiment_id", *PARAMETERS))
def list_recurring_runs(service: Service, call: Call) -> dict[str, Any]:
    """All schedules of an experiment, or of a namespace."""
    found = list(service.store.recurring_runs.values())
    if call.asked("experiment_id"):
        experiment_id = experiment_of(service, call, call.asked("experiment_id"))["experiment_id"]
        found = [one for one in found if one["experiment_id"] == experiment_id]
    else:
        namespace = service.namespace(call.user, call.asked("namespace"), "a recurring run")
        found = [one for one in found if one.get("namespace", "") == namespace]
    return page(found, call.query, "recurringRuns")


@route("GET", "/recurringruns/{recurring_run_id}")
def get_recurring_run(service: Service, call: Call) -> Resource:
    return recurring_run_of(service, call)


@route("POST", "/recurringruns/{recurring_run_id}:enable")
def enable_recurring_run(service: Service, call: Call) -> dict[str, Any]:
    set_mode(recurring_run_of(service, call), enabled=True)
    return {}


@route("POST", "/recurringruns/{recurring_run_id}:disable")
def disable_recurring_run(service: Service, call: Call) -> dict[str, Any]:
    set_mode(recurring_run_of(service, call), enabled=False)
    return {}


@route("DELETE", "/recurringruns/{recurring_run_id}", query=("propagation_policy",))
def delete_recurring_run(service: Service, call: Call) -> dict[str, Any]:
    """Its runs stay."""
    del service.store.recurring_runs[recurring_run_of(service, call)["recurring_run_id"]]
    return {}
