"""The cells of the benchmark, from grid.json: what runs, in which order."""

import fnmatch
import json
from dataclasses import dataclass
from pathlib import Path

GRID = json.loads((Path(__file__).parent / "grid.json").read_text())
MODELS = {model["name"]: model for model in GRID["models"]}
CONTENDERS = {contender["id"]: contender for contender in GRID["contenders"]}


@dataclass(frozen=True)
class Cell:
    """A contender on one size of one model; or, with a memory cap in bytes, on the largest batch that it allows."""

    id: str
    contender: dict
    model: dict
    sequence: int
    states: str
    batch: int = 0
    cap: int = 0
    case = "gpu-step"
    is_timed = True

    @property
    def is_own(self):
        return "method" in self.contender


@dataclass(frozen=True)
class Quality:
    """A contender that trains on text for some steps, from the same weights as the others: its losses."""

    id: str
    contender: dict
    model: dict
    batch: int
    sequence: int
    states: str
    steps: int
    learning_rate: float
    case = "gpu-quality"
    is_timed = False

    @property
    def is_own(self):
        return "method" in self.contender


@dataclass(frozen=True)
class Kernels:
    """The table of kernels: our own as the device chooses them, those of warpgroups, with cuBLASLt's products, or
    PyTorch's at the same shapes."""

    id: str
    provider: str
    case = "gpu-kernel"
    is_timed = True

    @property
    def is_own(self):
        return self.provider != "torch"


def eager(contender, is_tiny):
    """Compiling takes longer than everything else that a tiny cell does, and shows nothing."""
    return contender | {"mode": "eager"} if is_tiny and "mode" in contender else contender


def quality_cells(size, is_tiny):
    name, batch, sequence = size["model"], size["batch"], size["sequence"]
    model = MODELS[name] | {"layers": size.get("layers", MODELS[name]["layers"])}
    return [
        Quality(
            f"quality/{name}-{batch}x{sequence}/{contender}/bf16",
            eager(CONTENDERS[contender], is_tiny),
            model,
            batch,
            sequence,
            "bf16",
            size["steps"],
            learning_rate,
        )
        for contender, learning_rate in size["learningRates"].items()
    ]


def step_cells(sizes, is_tiny):
    groups = []
    for size in sizes:
        model, batch, sequence = MODELS[size["model"]], size["batch"], size["sequence"]
        for states in ("bf16", "f32"):
            group = []
            for contender in GRID["contenders"]:
                if states not in contender.get("states", ["bf16"]):
                    continue
                name = f"{model['name']}-{batch}x{sequence}/{contender['id']}/{states}"
                group.append(Cell(name, eager(contender, is_tiny), model, sequence, states, batch=batch))
            groups.append(group)
    return groups


def cap_cells():
    groups = []
    for size in GRID["caps"]:
        model, gigabytes = MODELS[size["model"]], size["gigabytes"]
        groups.append(
            [
                Cell(
                    f"{model['name']}-{gigabytes}GB/{contender['id']}/bf16",
                    contender,
                    model,
                    size["sequence"],
                    "bf16",
                    cap=gigabytes * 10**9,
                )
                for contender in GRID["contenders"]
                if contender.get("caps")
            ]
        )
    return groups


def cells(device, only="*"):
    """Groups of cells: within a group contenders take turns."""
    # The kernels of our own CPU backend have a benchmark of their own (npm run bench:native).
    providers = {"cuda": GRID["kernels"], "cuda-emulated": ["own", "warpgroups", "torch"], "cpu": ["torch"]}[device]
    kernels = [Kernels(f"kernels/{provider}", provider) for provider in providers]
    if device == "cuda":
        groups = [kernels, quality_cells(GRID["quality"], False), *step_cells(GRID["sizes"], False), *cap_cells()]
    else:
        groups = [kernels, quality_cells(GRID["tinyQuality"], True), *step_cells(GRID["tiny"], True)]
    pattern = only if any(c in only for c in "*?[") else f"*{only}*"
    chosen = [[cell for cell in group if fnmatch.fnmatch(cell.id, pattern)] for group in groups]
    return [group for group in chosen if group]
