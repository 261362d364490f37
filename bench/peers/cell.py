"""One cell of the benchmark: one program of programs.py trains one model for a few steps. Prints one JSON object, at the
end.

Every cell is a process of its own, so that no other has touched the memory. Time is that of whole steps (forward,
backward, optimizer), after warm-up steps on the same shapes.

    python3 bench/peers/cell.py --program dense --mode compile --device cuda --hidden 1024 --ffn 2736 --heads 16 \\
        --layers 24 --batch 128
"""

import argparse
import json
import sys

import torch

import weights
from measure import Clock, batch, peak_bytes, read_batches, reset_peak
from model import Shape
from programs import PROGRAMS, Skipped, build

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", choices=PROGRAMS, default="dense")
    parser.add_argument("--mode", choices=("eager", "compile"), default="eager")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    sizes = dict(vocab=32000, hidden=512, ffn=1376, heads=8, layers=8, batch=4, sequence=256, chunk=1024)
    for name, value in {**sizes, "steps": 20, "warmup": 5, "accumulate": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--threads", type=int, help="of a CPU")
    parser.add_argument("--dtype", choices=DTYPES, default="bf16", help="of weights and activations")
    parser.add_argument("--states", choices=DTYPES, help="of the optimizer's moments; default: as --dtype")
    parser.add_argument("--rank-ratio", type=float, default=0.25)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--clip", type=float, default=0.0, help="largest norm of the gradient; 0: none")
    parser.add_argument("--memory-cap", type=int, help="bytes of the GPU that may be taken")
    parser.add_argument("--on-demand", action="store_true",
                        help="after warm-up, a step for each line on standard input: {ready}, then {ms} a line")
    parser.add_argument("--weights", help="safetensors to begin with, in Hugging Face's names")
    parser.add_argument("--batches", help="32-bit integers: for each step tokens, then targets; default: one batch for all")
    return parser.parse_args(argv)


class Trainer:
    def __init__(self, args):
        self.args, self.device = args, torch.device(args.device)
        torch.manual_seed(0)
        shape = Shape(args.vocab, args.hidden, args.ffn, args.heads, args.layers, args.sequence)
        args.states = DTYPES[args.states or args.dtype]
        args.compile = args.mode == "compile"
        torch.set_default_dtype(DTYPES[args.dtype])
        with self.device:
            self.program = build(args.program, shape, args)
        if args.weights:
            weights.load(self.program.model, args.weights)
        if args.batches:
            self.batches = read_batches(args.batches, shape, args.batch, self.device)
        else:
            self.batches = [batch(shape, args.batch, self.device)]
        self.count = 0

    def step(self):
        tokens, targets = self.batches[self.count % len(self.batches)]
        self.count += 1
        for _ in range(self.args.accumulate):
            loss = self.program.loss(tokens, targets)
            loss.backward()
        parameters = [p for p in self.program.model.parameters() if p.grad is not None]
        if self.args.clip > 0:
            torch.nn.utils.clip_grad_norm_(parameters, self.args.clip)
        self.program.optimizer.step()
        for parameter in parameters:
            parameter.grad = None
        return loss.detach()

    def measure(self):
        losses, clock = [], Clock(self.device)
        for step in range(self.args.warmup + self.args.steps):
            if step == 2:
                reset_peak(self.device)
            if step == self.args.warmup:
                clock.mark()
            losses.append(self.step())
            if step >= self.args.warmup:
                clock.mark()
        result = {"fits": True, "msPerStep": clock.times_ms(), "memory": peak_bytes(self.device)}
        result["losses"] = [loss.item() for loss in losses]
        optimizer = self.program.optimizer
        if hasattr(optimizer, "must_refresh"):
            optimizer.must_refresh, refresh = True, Clock(self.device)
            refresh.mark()
            self.step()
            refresh.mark()
            result["refreshStepMs"] = refresh.times_ms()[0]
        return result

    def serve(self):
        for _ in range(self.args.warmup):
            self.step()
        report({"ready": True})
        for _ in sys.stdin:
            clock = Clock(self.device)
            clock.mark()
            self.step()
            clock.mark()
            report({"ms": clock.times_ms()[0]})
        return {}


def report(result):
    print(json.dumps(result), flush=True)


def run(args):
    device = torch.device(args.device)
    if args.threads:
        torch.set_num_threads(args.threads)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise Skipped("PyTorch finds no GPU")
    if args.memory_cap and device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, args.memory_cap / total), device)
    try:
        trainer = Trainer(args)
        return trainer.serve() if args.on_demand else trainer.measure()
    except torch.OutOfMemoryError:
        return {"fits": False}


def main(argv=None):
    args = parse(argv)
    result = {"program": args.program, "mode": args.mode, "torch": torch.__version__}
    try:
        result |= run(args)
    except Skipped as reason:
        result["skipped"] = str(reason)
    except Exception as error:  # torch.compile without a compiler, a library that does not fit, ...
        result["failed"] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    report(result)


if __name__ == "__main__":
    main()
