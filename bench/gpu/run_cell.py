"""Runs one cell and turns what its process prints into rows of the ledger."""

import importlib.util
import os
import shutil
import sys
import time
from pathlib import Path

from grid import Kernels, Quality
from ledger import ROOT, quantiles
from monitor import Monitor
from process import Problem, TookTooLong, run
from quality import QualityRun

PEER = ROOT / "bench" / "peers" / "cell.py"
PEER_KERNELS = ROOT / "bench" / "peers" / "kernels.py"
COMMAND = ROOT / "scripts" / "bench"
LIBRARY = ROOT / "dist"  # what the command measures
RESOLUTION = 16  # a largest batch is found to a sixteenth


class SliceOver(Exception):
    """A cell was ended because the time of all is over, not its own."""


class Runner:
    def __init__(self, ledger, options):
        self.ledger, self.options = ledger, options
        self.begin = time.monotonic()
        self.deadline = self.begin + options.slice_seconds
        self.is_tiny = options.device != "cuda"
        self.has_built = False  # took its part of the slice
        self.build_problem = None

    def lacks(self, cell):
        """What a cell needs and this machine does not have; None when it can run."""
        if isinstance(cell, Kernels) and cell.is_own:
            return self.build_problem
        needs_node = cell.is_own or isinstance(cell, Quality)
        if needs_node and (shutil.which("node") is None or not LIBRARY.exists()):
            return "node or dist/ is missing: npm install"
        if not cell.is_own and importlib.util.find_spec("torch") is None:
            return "PyTorch is missing"
        return None

    def run(self, command, environment=None):
        """Until the time of the cell or of the slice is over."""
        left = self.deadline - time.monotonic()
        try:
            limit = max(1, min(self.options.cell_seconds, left))
            return run(command, limit, library_environment() | (environment or {}))
        except TookTooLong:
            if left < self.options.cell_seconds:
                raise SliceOver from None
            raise

    def attempt(self, cell):
        """One turn. What goes wrong in it is a row, too."""
        turn = self.ledger.next_turn(cell.id)
        try:
            if isinstance(cell, Kernels):
                self.kernels(cell, turn)
            elif isinstance(cell, Quality):
                self.ledger.append(QualityRun(self, cell).row(turn))
            else:
                self.step(cell, turn)
        except Problem as problem:
            self.ledger.append({"case": cell.case, "cell": cell.id, "turn": turn, "failed": str(problem)})

    # ---- Kernels --------------------------------------------------------------------------------

    def kernels(self, cell, turn):
        tiny = ["--tiny"] if self.is_tiny else []
        if not cell.is_own:
            command = [sys.executable, PEER_KERNELS, "--device", self.peer_device(), *tiny]
        else:
            command = [self.options.binary, "--blas", "vendor" if cell.provider == "vendor" else "own", *tiny]
        begin = time.monotonic()
        output = self.run(command, {"COMPACT_CUDA_WARPGROUPS": "1"} if cell.provider == "warpgroups" else {})
        common = {"case": "gpu-kernel", "cell": cell.id, "provider": cell.provider, "turn": turn}
        seconds = {"seconds": time.monotonic() - begin}
        failed = [] if output.problem is None else [common | {"failed": output.problem}]
        self.ledger.append(*(row | common | seconds for row in output.rows), *failed)

    # ---- Steps ----------------------------------------------------------------------------------

    def own_words(self, cell):
        """Method and model of one of ours, for all benchmarks of a single method."""
        flags = {"rank-ratio": "rankRatio", "store": "store", "recompute": "recompute", "method": "method"}
        words = [w for flag, key in flags.items() if key in cell.contender for w in (f"--{flag}", cell.contender[key])]
        return [*words, "--model", cell.model["name"], "--state-dtype", cell.states, "--sequence", cell.sequence]

    def own_device(self, cell):
        # By default cuBLASLt or nothing: a step without it would pass for one with it.
        blas = cell.contender.get("blas", "own" if self.is_tiny else "vendor")
        return ["--device", self.options.device, "--blas", blas]

    def own_command(self, *words):
        return [shutil.which("node") or "node", COMMAND, *words, "--json"]

    def peer_device(self):
        return "cuda" if self.options.device == "cuda" else "cpu"

    def peer_command(self, cell, *words):
        shape = [w for key in ("vocab", "hidden", "ffn", "heads", "layers") for w in (f"--{key}", cell.model[key])]
        of = ["--program", cell.contender["program"], "--mode", cell.contender["mode"], "--states", cell.states]
        device = ["--device", self.peer_device(), "--sequence", cell.sequence]
        if self.is_tiny:
            device += ["--threads", 1]  # the threads of a product this small wait for each other
        return [sys.executable, PEER, *of, *shape, *device, *words]

    def step_command(self, cell, batch, warmup, steps):
        timing = ["--warmup", warmup, "--steps", steps, "--batch", batch]
        if cell.cap:
            timing += ["--memory-cap", cell.cap]
        if cell.is_own:
            if cell.model["name"] == "llama-60m" and not self.is_tiny:  # the one with the shortest kernels
                timing += ["--launch-gaps"]
            if self.options.device == "cuda-emulated":
                timing += ["--graphs", "on"]  # choosing would take more steps than the cell
            return self.own_command("cell", *self.own_words(cell), *self.own_device(cell), *timing)
        return self.peer_command(cell, *timing)

    def step(self, cell, turn):
        # As many before the timed ones as ours take to choose how they run, so that losses are those of equal steps.
        warmup, steps = (1, 2) if self.is_tiny else (8, 20)
        batch = cell.batch
        if cell.cap:
            batch = self.largest_batch(cell)
            if batch == 0:
                self.ledger.append(self.row(cell, turn, 0) | {"fits": False})
                return
        begin = time.monotonic()
        with Monitor() as monitor:
            result = self.run(self.step_command(cell, batch, warmup, steps)).last()
        row = self.row(cell, turn, batch) | {"seconds": time.monotonic() - begin} | self.measured(cell, batch, result)
        report = monitor.report()
        if "memory" in row:
            row["memory"]["process"] = report.pop("processBytes", None)
        self.ledger.append(row | report)

    def row(self, cell, turn, batch):
        model = cell.model["name"]
        common = {"case": cell.case, "cell": cell.id, "contender": cell.contender["id"], "turn": turn, "model": model}
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
        row["loss"] = {"first": result["losses"][0], "last": result["losses"][-1]}
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
            result = self.run(self.step_command(cell, 1, 1, 1) + ["--largest", "--plan-only"]).last()
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
            result = self.run(self.step_command(cell, batch, 2, 1)).last()
            if "skipped" in result or "failed" in result:
                raise Problem(result.get("skipped") or result["failed"])
            tried[batch] = result["fits"]
            probe = {"case": "gpu-probe", "cell": cell.id, "batch": batch, "fits": result["fits"]}
            self.ledger.append(probe | {"seconds": time.monotonic() - begin})


def library_environment():
    """Where cuBLASLt is, for ours: the one that PyTorch uses, so that both multiply with the same."""
    found = importlib.util.find_spec("torch")
    if found is None:
        return {}
    packages = Path(found.origin).parents[1]
    libraries = sorted([*packages.glob("nvidia/*/lib/libcublasLt.so.*"), *packages.glob("torch/lib/libcublasLt.so.*")])
    if not libraries:
        return {}
    before = os.environ.get("LD_LIBRARY_PATH")
    return {"LD_LIBRARY_PATH": ":".join([str(libraries[-1].parent), *([before] if before else [])])}
