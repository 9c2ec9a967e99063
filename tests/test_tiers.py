"""The tiers of tests: each test is in one that CI runs, or in the one of `make test-all`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]


def commands(target: str) -> list[str]:
    """The commands of a target of the Makefile, with its variables replaced."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    variables = dict(re.findall(r"^(\w+) :?\??= (.*)$", text, re.MULTILINE))
    found = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", text, re.MULTILINE)
    assert found, target
    lines = found[1]
    while (replaced := re.sub(r"\$\((\w+)\)", lambda name: variables[name[1]], lines)) != lines:
        lines = replaced
    return [line.strip("\t@") for line in lines.splitlines()]


def markers_of(target: str) -> set[str]:
    """The tests that a target runs or leaves out, by their markers."""
    (expression,) = re.findall(r"-m (?!pytest)'?([^']+?)'?$", "\n".join(commands(target)), re.MULTILINE)
    return set(re.findall(r"\w+", expression))


def test_each_marker_has_a_tier(pytestconfig: pytest.Config) -> None:
    left_out = markers_of("test") - {"not", "or"}
    assert {line.partition(":")[0] for line in pytestconfig.getini("markers")} >= left_out
    assert markers_of("test-kfp") | markers_of("test-slow") | {"exhaustive"} == left_out
    assert markers_of("coverage") == markers_of("test")


def test_ci_runs_each_tier_but_that_of_everything() -> None:
    ran = re.findall(r"^make ([\w-]+)$", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)
    assert ran == ["test", "test-kfp", "test-slow", "test-browser", "lint"]


def test_a_commit_is_checked_as_by_make_lint() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook["entry"] for repository in config["repos"] for hook in repository["hooks"]]
    assert hooks == commands("lint")
    assert {repository["repo"] for repository in config["repos"]} == {"local"}
