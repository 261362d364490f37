"""Programs of the benchmark, each a process of its own that prints one JSON object a line."""

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass

from ledger import ROOT

WAIT_SECONDS = 0.5


class Problem(Exception):
    """Why there is no result: what a process that failed said last, or what is missing."""


class TookTooLong(Problem):
    def __init__(self, seconds):
        super().__init__(f"took more than {seconds:g} s")


@dataclass
class Output:
    rows: list
    problem: str | None  # what the process said last, when it failed

    def last(self):
        if self.problem is not None:
            raise Problem(self.problem)
        return self.rows[-1]


def run(command, timeout, environment=None):
    """Ends the process and all that it started when it takes longer, and on Ctrl-C."""
    process = subprocess.Popen(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | (environment or {}),
        start_new_session=True,  # compilers of PyTorch are processes too, and would keep the pipes open
    )
    try:
        output, told = communicate(process, time.monotonic() + timeout)
    except BaseException as reason:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if isinstance(reason, subprocess.TimeoutExpired):
            raise TookTooLong(timeout) from None
        raise
    rows = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    if process.returncode == 0 and rows:
        return Output(rows, None)
    lines = told.strip().splitlines()
    messages = [row["message"] for row in rows if row.get("type") == "error"]
    problem = (messages or lines or [f"ended with {process.returncode}"])[-1]
    return Output([row for row in rows if row.get("type") != "error"], problem)


def communicate(process, deadline):
    """In short waits: a signal that comes right before one is seen after it."""
    while True:
        try:
            return process.communicate(timeout=min(WAIT_SECONDS, max(0, deadline - time.monotonic())))
        except subprocess.TimeoutExpired:
            if time.monotonic() >= deadline:
                raise
