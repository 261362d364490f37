"""Runs one cell in a process of its own and turns what it prints into rows of the ledger."""

import json
import shutil
import subprocess
import sys
import time

from ledger import ROOT, quantiles
from monitor import Monitor

PEER = ROOT / "bench" / "peers" / "cell.py"
PEER_KERNELS = ROOT / "bench" / "peers" / "kernels.py"
COMMAND = ROOT / "dist" / "cli" / "main.js"
RESOLUTION = 16  # a largest batch is found to a sixteenth


class Problem(Exception):
    """What a process that failed said last."""


def run(command, timeout):
    """The JSON objects that a process prints, one a line."""
    try:
        result = subprocess.run(
            [str(word) for word in command],
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=ROOT,
        )
    except subprocess.TimeoutExpired:
        raise Problem(f"took more than {timeout} s") from None
    rows = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    if result.returncode != 0 or not rows:
        lines = result.stderr.strip().splitlines()
        told = [row["message"] for row in rows if row.get("type") == "error"]
        raise Problem((told or lines or [f"ended with {result.returncode}"])[-1])
    return rows


class Runner:
    def __init__(self, ledger, options):
        self.ledger, self.options = ledger, options
        self.is_tiny = options.device != "cuda"
        self.deadline = None

    def timeout(self):
        return max(1, min(self.options.cell_seconds, self.deadline - time.monotonic()))

    # ---- Kernels --------------------------------------------------------------------------------

    def kernels(self, cell, turn):
        if cell.provider != "torch":
            command = [self.options.binary, "--blas", cell.provider, *(["--tiny"] if self.is_tiny else [])]
        else:
            device = "cuda" if self.options.device == "cuda" else "cpu"
            command = [sys.executable, PEER_KERNELS, "--device", device, *(["--tiny"] if self.is_tiny else [])]
        begin = time.monotonic()
        rows = run(command, self.timeout())
        for row in rows:
            common = {"case": "gpu-kernel", "cell": cell.id, "provider": cell.provider, "turn": turn}
            self.ledger.append(row | common | {"seconds": time.monotonic() - begin})

    # ---- Steps ----------------------------------------------------------------------------------

    def step_command(self, cell, batch, warmup, steps):
        timing = ["--warmup", warmup, "--steps", steps, "--batch", batch, "--sequence", cell.sequence]
        if cell.cap:
            timing += ["--memory-cap", cell.cap]
        if cell.is_own:
            node = shutil.which("node")
            if node is None or not COMMAND.exists():
                raise Problem("node or dist/ is missing: npm run build")
            flags = {"rank-ratio": "rankRatio", "store": "store", "recompute": "recompute", "method": "method"}
            words = [w for flag, key in flags.items() if key in cell.contender for w in (f"--{flag}", cell.contender[key])]
            words += ["--blas", cell.contender.get("blas", "auto"), "--model", cell.model["name"], "--state-dtype", cell.states, "--device", self.options.device]
            if cell.model["name"] == "llama-60m" and self.options.device == "cuda":  # the one with the shortest kernels
                words += ["--launch-gaps"]
            return [node, COMMAND, "bench", "cell", "--json", *words, *timing]
        shape = [w for key in ("vocab", "hidden", "ffn", "heads", "layers") for w in (f"--{key}", cell.model[key])]
        device = "cuda" if self.options.device == "cuda" else "cpu"
        words = ["--program", cell.contender["program"], "--mode", cell.contender["mode"], "--states", cell.states]
        return [sys.executable, PEER, *words, *shape, "--device", device, *timing]

    def step(self, cell, turn):
        warmup, steps = (1, 2) if self.is_tiny else (5, 20)
        batch = cell.batch
        if cell.cap:
            batch = self.largest_batch(cell)
            if batch == 0:
                self.ledger.append(self.row(cell, turn, 0) | {"fits": False})
                return
        begin = time.monotonic()
        with Monitor() as monitor:
            result = run(self.step_command(cell, batch, warmup, steps), self.timeout())[-1]
        row = self.row(cell, turn, batch) | {"seconds": time.monotonic() - begin} | self.measured(cell, batch, result)
        report = monitor.report()
        if "memory" in row:
            row["memory"]["process"] = report.pop("processBytes", None)
        self.ledger.append(row | report)

    def row(self, cell, turn, batch):
        model = cell.model["name"]
        common = {"case": "gpu-step", "cell": cell.id, "contender": cell.contender["id"], "turn": turn, "model": model}
        return common | {"sequence": cell.sequence, "states": cell.states, "batch": batch, "cap": cell.cap or None}

    def measured(self, cell, batch, result):
        row = {}
        for key in ("skipped", "failed", "refreshStepMs", "plannedBytes", "torch", "launchGaps"):
            if result.get(key) is not None:
                row[key] = result[key]
        if "skipped" in row or "failed" in row:
            return row
        row["fits"] = result["fits"]
        if not result["fits"]:
            return row
        row |= quantiles(result["msPerStep"]) | {"metric": "step", "unit": "ms"}
        row["tokensPerSecond"] = batch * cell.sequence / row["p50"] * 1e3
        memory = result["memory"]
        if cell.is_own:
            # What plans ask for, what the driver gave for it; both are the same, because nothing is pooled.
            memory = {"tensors": memory["allocatedBytes"], "pool": memory["allocatedBytes"]}
        row["memory"] = dict(memory)
        return row

    # ---- Largest batches ------------------------------------------------------------------------

    def largest_batch(self, cell):
        """0 when not even one sequence fits. Ours is planned; a peer's is searched for, and each try is a row."""
        if cell.is_own:
            command = self.step_command(cell, 1, 1, 1) + ["--largest", "--plan-only"]
            result = run(command, self.timeout())[-1]
            return result["batch"] if result["fits"] else 0
        tried = {row["batch"]: row["fits"] for row in self.ledger.of(cell.id, "gpu-probe")}
        while True:
            fitting = max((batch for batch, fits in tried.items() if fits), default=0)
            too_large = min((batch for batch, fits in tried.items() if not fits), default=None)
            if too_large is None:
                batch = max(1, 2 * fitting)
            elif too_large - fitting <= max(1, fitting // RESOLUTION):
                return fitting
            else:
                batch = (fitting + too_large) // 2
            begin = time.monotonic()
            result = run(self.step_command(cell, batch, 2, 1), self.timeout())[-1]
            if "skipped" in result or "failed" in result:
                raise Problem(result.get("skipped") or result["failed"])
            tried[batch] = result["fits"]
            probe = {"case": "gpu-probe", "cell": cell.id, "batch": batch, "fits": result["fits"]}
            self.ledger.append(probe | {"seconds": time.monotonic() - begin})
