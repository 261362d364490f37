"""Rows of JSON, appended one at a time: what has been measured, and what is still to do."""

import datetime
import json
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
        git = ["git", "-C", str(ROOT)]
        commit = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        sources = ["status", "--porcelain", "--", ".", ":!bench/results", ":!docs"]
        changed = subprocess.run([*git, *sources], capture_output=True, text=True, check=True)
        return commit.stdout.strip() + ("+" if changed.stdout.strip() else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


class Ledger:
    """Rows of this commit and device decide what is done; rows of others stay and do not count."""

    def __init__(self, path, device, commit):
        self.path, self.device, self.commit = Path(path), device, commit
        self.rows = []
        if self.path.exists():
            rows = [json.loads(line) for line in self.path.read_text().splitlines() if line]
            self.rows = [row for row in rows if row["device"] == device and row["commit"] == commit]

    def append(self, row):
        date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        row = row | {"device": self.device, "commit": self.commit, "date": date}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        self.rows.append(row)

    def of(self, cell, case=None):
        return [row for row in self.rows if row["cell"] == cell and (case is None or row["case"] == case)]

    def turns(self, cell):
        """Medians of the turns so far, in milliseconds of a step or, for kernels, in sums over the table."""
        by_turn = {}
        for row in self.of(cell):
            if "p50" in row:
                by_turn[row["turn"]] = by_turn.get(row["turn"], 0.0) + row["p50"]
        return list(by_turn.values())

    def is_steady(self, cell):
        medians = self.turns(cell)
        return len(medians) >= 2 and abs(medians[-1] - medians[-2]) <= STEADY * min(medians[-2:])

    def is_done(self, cell, needs_steady):
        """Without `needs_steady` one turn is enough."""
        rows = self.of(cell)
        if any("skipped" in row or row.get("fits") is False and row["case"] == "gpu-step" for row in rows):
            return True
        turns, failures = len(self.turns(cell)), sum(1 for row in rows if "failed" in row)
        if not needs_steady:
            return turns + failures >= 1
        return failures >= 2 or turns >= MAX_TURNS or self.is_steady(cell)

    def seconds(self, cell):
        """How long the last turn took, with starting and compiling."""
        return next((row["seconds"] for row in reversed(self.of(cell)) if "seconds" in row), None)
