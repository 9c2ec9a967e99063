"""The process of a run: kfp.local, which tells the server what it does.

It is told its job in a line of JSON on its standard input, tells events in lines of JSON on its standard
output, and goes on past "ready" and "exit" when the server answers.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import traceback
import warnings
from typing import IO, Any

from kfp import components, local
from kfp.local import subprocess_task_handler
from kfp.local.orchestrator import task_executor
from kfp.local.status import Status


class Reporter:
    """Takes the place of two functions of kfp.local, and tells the server what goes through them.

    Args:
        answers: What the server says.
        events: Where it is told.
    """

    def __init__(self, answers: IO[str], events: IO[str]) -> None:
        self.answers = answers
        self.events = events
        self.task = ""
        self.is_cached = False
        self.one_at_a_time = threading.Lock()
        self.execute = task_executor.execute_single_task
        task_executor.execute_single_task = self.execute_task
        subprocess_task_handler.run_local_subprocess = self.run_command

    def say(self, event: str, **fields: Any) -> None:
        """Tell the server something."""
        self.events.write(json.dumps({"event": event, "task": self.task, **fields}) + "\n")
        self.events.flush()

    def ask(self, event: str, **fields: Any) -> None:
        """Tell the server something that it may let us wait for."""
        self.say(event, **fields)
        if not self.answers.readline():
            sys.exit("the server is gone")

    def execute_task(self, task_name: str, **arguments: Any) -> tuple[dict[str, Any], Status]:
        """In place of `execute_single_task`: once for a task, even in loops, whose tasks have threads."""
        with self.one_at_a_time:
            self.task, self.is_cached = task_name, True
            self.say("task")
            outputs, status = self.execute(task_name=task_name, **arguments)
            files = {name: value.uri for name, value in outputs.items() if hasattr(value, "uri")}
            self.say("done", ok=status == Status.SUCCESS, cached=self.is_cached, outputs=files)
            return outputs, status

    def run_command(self, full_command: list[str], env_vars: dict[str, str] | None = None) -> int:
        """In place of `run_local_subprocess`: once for an attempt of a task that isn't cached."""
        self.is_cached = False
        self.ask("ready")
        env_vars = expanded_environment(env_vars or {})
        full_command = [expanded(argument, env_vars) for argument in full_command]
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        with subprocess.Popen(
            full_command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=tempfile.mkdtemp(dir=os.getcwd()),  # a pod sees no files of another's
            env={**os.environ, **env_vars},
        ) as process:
            while chunk := process.stdout.read1():
                self.say("log", text=decoder.decode(chunk))
        self.ask("exit", code=process.returncode)
        return process.returncode


def expanded(text: str, known: dict[str, str]) -> str:
    """A text of a container's command, or of its environment, as Kubernetes hands it on."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else known.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", value, text)


def expanded_environment(variables: dict[str, str]) -> dict[str, str]:
    """Variables of a container; each may refer to those before it."""
    found: dict[str, str] = {}
    for name, text in variables.items():
        found[name] = expanded(text, found)
    return found


def run(job: dict[str, Any], reporter: Reporter) -> None:
    """Run a pipeline; what forks its tasks takes the place of Python in their commands."""
    replace = subprocess_task_handler.replace_python_executable
    subprocess_task_handler.replace_python_executable = lambda command, _: replace(command, job["python"])
    local.init(
        local.SubprocessRunner(use_venv=False),
        pipeline_root=job["root"],
        workspace_root=job["workspace"],
        raise_on_error=False,
        enable_caching=job["cache"] is not None,
        cache_root=job["cache"],
    )
    components.load_component_from_file(job["pipeline"])(**job["arguments"])


def main() -> None:
    """Do one job; what kfp.local itself prints and the steps' input have nothing to do with the server."""
    answers, events = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    warnings.simplefilter("ignore")  # kfp's own
    reporter = Reporter(answers, events)
    error = ""
    try:
        run(json.loads(answers.readline()), reporter)
    except Exception as raised:  # whatever it is, the run has failed
        traceback.print_exc()
        error = f"{type(raised).__name__}: {raised}"
    reporter.say("end", error=error)


if __name__ == "__main__":
    main()
