"""Rows of JSON, appended whole: what has been measured, and what is still to do."""

import datetime
import json
import os
import statistics
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
STEADY = 0.02  # medians of two turns of one cell may differ by this share
MAX_TURNS = 4


def quantiles(times):
    cuts = statistics.quantiles(times * 2 if len(times) == 1 else times, n=4, method="inclusive")
    return {"p25": cuts[0], "p50": cuts[1], "p75": cuts[2], "repeats": len(times)}


def current_commit():
    """With a + where sources differ from it; what benchmarks and their tables write does not count."""
    try:
        git = ["git", "--no-optional-locks", "-C", str(ROOT)]
        commit = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        sources = ["status", "--porcelain", "--", ".", ":!bench/results", ":!docs"]
        changed = subprocess.run([*git, *sources], capture_output=True, text=True, check=True)
        return commit.stdout.strip() + ("+" if changed.stdout.strip() else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_rows(path):
    """What follows the last end of a line was cut off while it was written, and is no row."""
    if not path.exists():
        return []
    *lines, _ = path.read_text().split("\n")
    return [json.loads(line) for line in lines if line]


def append_rows(path, rows):
    """All of them or none, and on the disk when this returns."""
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab+", buffering=0) as file:
        file.seek(0)
        end = file.read().rfind(b"\n") + 1
        file.truncate(end)
        try:
            if file.write(lines) < len(lines):
                raise OSError(f"{path}: the disk is full")
            os.fsync(file.fileno())
        except OSError:
            file.truncate(end)
            raise


class Ledger:
    """Rows of this commit and device decide what is done; rows of others stay and do not count."""

    def __init__(self, path, device, commit):
        self.path, self.device, self.commit = Path(path), device, commit
        self.rows = [row for row in read_rows(self.path) if row["device"] == device and row["commit"] == commit]
        self.appended = 0

    def append(self, *rows):
        dated = [row | {"device": self.device, "commit": self.commit, "date": now()} for row in rows]
        append_rows(self.path, dated)
        self.rows += dated
        self.appended += len(dated)

    def of(self, cell, case=None):
        return [row for row in self.rows if row["cell"] == cell and (case is None or row["case"] == case)]

    def next_turn(self, cell):
        return 1 + max((row.get("turn", 0) for row in self.of(cell)), default=0)

    def medians(self, cell):
        """Of the turns so far, in milliseconds of a step or, for kernels, in sums over the table."""
        by_turn = {}
        for row in self.of(cell):
            if "p50" in row:
                by_turn[row["turn"]] = by_turn.get(row["turn"], 0.0) + row["p50"]
        return list(by_turn.values())

    def is_steady(self, cell):
        medians = self.medians(cell)
        return len(medians) >= 2 and abs(medians[-1] - medians[-2]) <= STEADY * min(medians[-2:])

    def is_done(self, cell, needs_steady):
        """Without `needs_steady` one turn is enough."""
        rows = [row for row in self.of(cell) if row["case"] != "gpu-probe"]
        if any("skipped" in row or row.get("fits") is False for row in rows):
            return True
        if not needs_steady:
            return len(rows) > 0
        failures = sum(1 for row in rows if "failed" in row)
        return failures >= 2 or len(self.medians(cell)) >= MAX_TURNS or self.is_steady(cell)

    def seconds(self, cell):
        """How long the last turn took, with starting and compiling."""
        return next((row["seconds"] for row in reversed(self.of(cell)) if "seconds" in row), None)
