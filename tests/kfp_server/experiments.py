"""Experiments."""

from __future__ import annotations

from typing import Any

from tests.kfp_server.listing import KEYS, PARAMETERS, page
from tests.kfp_server.nodes import NEVER, now
from tests.kfp_server.routing import Call, route
from tests.kfp_server.service import Service
from tests.kfp_server.store import Resource, Store, be_short, be_unique, filled, get, new_id, set_mode

DEFAULT = "Default"


def experiment_of(service: Service, call: Call, experiment_id: str) -> Resource:
    """An experiment that the user may see."""
    experiment = get(service.store.experiments, "Experiment", experiment_id)
    service.admit(call.user, experiment.get("namespace", ""))
    return experiment


def add_experiment(store: Store, name: str, description: str = "", namespace: str = "") -> Resource:
    """A new experiment."""
    be_short("Experiment", name)
    be_unique(iter(store.experiments.values()), "Experiment", display_name=name, namespace=namespace)
    experiment = filled(
        experiment_id=new_id(),
        display_name=name,
        description=description,
        created_at=now(),
        namespace=namespace,
        storage_state="AVAILABLE",
        last_run_created_at=NEVER,
    )
    store.experiments[experiment["experiment_id"]] = experiment
    return experiment


def default_experiment(store: Store) -> Resource:
    """The one that runs go to which name none; there is one only if there is one user only."""
    found = (e for e in store.experiments.values() if e["display_name"] == DEFAULT)
    return next(found, None) or add_experiment(store, DEFAULT)


@route("POST", "/experiments", body="V2beta1Experiment", required=("display_name",))
def create_experiment(service: Service, call: Call) -> Resource:
    namespace = service.namespace(call.user, call.body.get("namespace") or "", "An experiment")
    description = call.body.get("description") or ""
    return add_experiment(service.store, call.body["display_name"], description, namespace)


@route("GET", "/experiments", query=("namespace", *PARAMETERS))
def list_experiments(service: Service, call: Call) -> dict[str, Any]:
    namespace = service.namespace(call.user, call.asked("namespace"), "An experiment")
    experiments = (e for e in service.store.experiments.values() if e.get("namespace", "") == namespace)
    return page(experiments, call.query, "experiments", (*KEYS, "storage_state"))


@route("GET", "/experiments/{experiment_id}")
def get_experiment(service: Service, call: Call) -> Resource:
    return experiment_of(service, call, call["experiment_id"])


@route("POST", "/experiments/{experiment_id}:archive")
def archive_experiment(service: Service, call: Call) -> dict[str, Any]:
    """Its runs are archived with it, and its schedules stop."""
    experiment_of(service, call, call["experiment_id"])["storage_state"] = "ARCHIVED"
    for run in service.store.runs_in(call["experiment_id"]):
        run.resource["storage_state"] = "ARCHIVED"
    for recurring_run in service.store.recurring_runs.values():
        if recurring_run["experiment_id"] == call["experiment_id"]:
            set_mode(recurring_run, enabled=False)
    return {}


@route("POST", "/experiments/{experiment_id}:unarchive")
def unarchive_experiment(service: Service, call: Call) -> dict[str, Any]:
    """Its runs stay archived."""
    experiment_of(service, call, call["experiment_id"])["storage_state"] = "AVAILABLE"
    return {}


@route("DELETE", "/experiments/{experiment_id}")
def delete_experiment(service: Service, call: Call) -> dict[str, Any]:
    experiment_of(service, call, call["experiment_id"])
    del service.store.experiments[call["experiment_id"]]
    return {}
