"""Losses of a short training on a GPU beside those of the CPU for the same seeds."""

import tempfile
import time

from ledger import ROOT, append_rows, now, read_rows
from process import Problem

REFERENCES = ROOT / "bench" / "results" / "quality-cpu.jsonl"
DIGITS = 6


class QualityRun:
    """A cell of grid.Quality: its commands, and what becomes of their losses."""

    def __init__(self, runner, cell):
        self.runner, self.cell = runner, cell

    def settings(self):
        """All that decides the losses, as words of `scripts/bench losses`, but the device."""
        cell, model = self.cell, self.cell.model
        sizes = ["--batch", cell.batch, "--steps", cell.steps, "--learning-rate", cell.learning_rate]
        return [*self.runner.own_words(cell), *sizes, "--layers", model["layers"]]

    def row(self, turn):
        cell, begin = self.cell, time.monotonic()
        losses = self.own_losses() if cell.is_own else self.peer_losses()
        row = {"case": cell.case, "cell": cell.id, "contender": cell.contender["id"], "turn": turn}
        row |= {"model": cell.model["name"], "batch": cell.batch, "sequence": cell.sequence, "states": cell.states}
        row |= {"steps": cell.steps, "learningRate": cell.learning_rate, "seconds": time.monotonic() - begin}
        row |= {"firstLoss": losses[0], "lastLoss": losses[-1], "losses": [round(loss, DIGITS) for loss in losses]}
        if cell.is_own:
            reference = self.reference()
            pairs = zip(losses, reference["losses"], strict=True)
            row["largestDifference"] = max(abs(loss / right - 1) for loss, right in pairs)
            row["reference"] = {"device": reference["device"], "commit": reference["commit"]}
        return row

    def own_losses(self):
        device = self.runner.own_device(self.cell)
        return self.runner.run(self.runner.own_command("losses", *self.settings(), *device)).last()["losses"]

    def peer_losses(self):
        """From our initial weights, on our batches."""
        (ROOT / "build").mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
            words = ["--inputs", folder, "--device", "cpu"]
            inputs = self.runner.run(self.runner.own_command("losses", *self.settings(), *words)).last()
            sizes = ["--batch", self.cell.batch, "--warmup", 0, "--steps", self.cell.steps]
            words = ["--weights", inputs["weights"], "--batches", inputs["batches"]]
            words += ["--learning-rate", self.cell.learning_rate]
            result = self.runner.run(self.runner.peer_command(self.cell, *sizes, *words)).last()
        if "losses" not in result:
            raise Problem(result.get("skipped") or result["failed"])
        return result["losses"]

    def reference(self):
        """What was recorded for these settings; where nothing was, the CPU of this machine trains now."""
        settings = [str(word) for word in self.settings()]
        recorded = [row for row in read_rows(REFERENCES) if row["settings"] == settings]
        return recorded[-1] if recorded else self.train_on_cpu()

    def train_on_cpu(self):
        result = self.runner.run(self.runner.own_command("losses", *self.settings(), "--device", "cpu")).last()
        kept = {key: result[key] for key in ("provider", "device", "threads", "instructionSet")}
        kept["losses"] = [round(loss, DIGITS) for loss in result["losses"]]
        words = [str(word) for word in self.settings()]
        return {"case": "quality-cpu", "settings": words} | kept | {"commit": self.runner.options.commit, "date": now()}

    def record(self):
        row = self.train_on_cpu()
        append_rows(REFERENCES, [row])
        return row
