"""PyTorch's operations at the shapes of the kernel benchmark (cuda/bench): what ours are held against.

Names and shapes are those that compact-cuda-bench prints. Operands are random, and between two uses of one lie three
times the L2 cache. Products are cuBLASLt's on a GPU. Prints one JSON object a line.

    python3 bench/peers/kernels.py --device cuda
"""

import argparse
import json
import math
import statistics
import sys

import torch
import torch.nn.functional as F

from loss import ChunkedCrossEntropy, softmax_loss
from measure import Clock

FULL = dict(tokens=16384, hidden=4096, out=4096, ffn=11008, rank=1024, vocabulary=32000, sequence=2048, head=128)
TINY = dict(tokens=48, hidden=32, out=24, ffn=40, rank=8, vocabulary=101, sequence=16, head=8)


def cases(s, device):
    """(kernel, variant, shape, operands, function of the operands). Operands: shapes of normal bf16 numbers."""
    t, n, m, f, r = s["tokens"], s["hidden"], s["out"], s["ffn"], s["rank"]
    heads, head = n // s["head"], s["head"]
    attention_shape = (t // s["sequence"], heads, s["sequence"], head)
    compiled = torch.compile if device.type == "cuda" else lambda function: function

    def randn(rows, columns):
        return lambda: torch.randn(rows, columns, dtype=torch.bfloat16, device=device)

    def update(weight, direction):
        projection = torch.randn(n, r, dtype=torch.bfloat16, device=device)
        weight.add_(projection @ direction, alpha=-1e-6)

    def attention_backward(q, k, v, d_o):
        q, k, v = (x.requires_grad_() for x in (q, k, v))
        F.scaled_dot_product_attention(q, k, v, is_causal=True).backward(d_o)
        for x in (q, k, v):
            x.grad = None

    softmax = compiled(softmax_loss)
    targets = torch.arange(t, device=device) % 100

    def loss(x, weight):
        x, weight = x.requires_grad_(), weight.requires_grad_()
        ChunkedCrossEntropy.apply(x, weight, targets, 1024, softmax)

    @compiled
    def swiglu(gate, up):
        return F.silu(gate) * up

    @compiled
    def rms_norm(x, weight):
        return F.rms_norm(x, (n,), weight, 1e-6)

    @compiled
    def add_rms_norm(a, b, weight):
        total = a + b
        return total, F.rms_norm(total, (n,), weight, 1e-6)

    yield "P panel", "randn", f"{n}x{r}", [], randn(n, r)
    wide = (f // 4 + 7) // 8 * 8
    yield "P panel", "randn", f"{f}x{wide}", [], randn(f, wide)
    yield "z = x P", "P prepared", f"{t}x{n}x{r}", [(t, n), (n, r)], torch.mm
    yield "y = x W", "", f"{t}x{n}x{m}", [(t, n), (n, m)], torch.mm
    yield "dX = dY W^T", "", f"{t}x{m}x{n}", [(t, m), (n, m)], lambda dy, w: dy @ w.T
    yield "dW = x^T dY", "", f"{t}x{n}x{m}", [(t, n), (t, m)], lambda x, dy: x.T @ dy
    for rank, columns in ((r, m), (r // 4, 3 * m // 4)):
        name = "compressed gradient z^T dY"
        yield name, "", f"{t}x{rank}x{columns}", [(t, rank), (t, columns)], lambda z, dy: z.T @ dy
    shape = f"{n}x{m} rank {r}"
    yield "update W -= s P N", "randn, product, add", shape, [(n, m), (r, m)], update
    yield (
        "update W -= s P N",
        "P prepared",
        shape,
        [(n, m), (r, m), (n, r)],
        lambda w, d, p: w.add_(p @ d, alpha=-1e-6),
    )
    yield "copy", "", f"{t}x{n}", [(t, n), (t, n)], lambda a, b: b.copy_(a)
    yield "residual add", "", f"{t}x{n}", [(t, n), (t, n)], torch.add
    yield "RMSNorm", "compiled", f"{t}x{n}", [(t, n), (n,)], rms_norm
    yield "RMSNorm with residual", "compiled", f"{t}x{n}", [(t, n), (t, n), (n,)], add_rms_norm
    yield "SwiGLU", "compiled", f"{t}x{f}", [(t, f), (t, f)], swiglu
    shape = f"{t}x{n} sequence {s['sequence']}"
    sdpa = lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True)
    yield "attention", "", shape, [attention_shape] * 3, sdpa
    yield "attention backward", "with forward", shape, [attention_shape] * 4, attention_backward
    name = "output layer, loss and gradients"
    yield name, "", f"{t}x{n}x{s['vocabulary']}", [(t, n), (s["vocabulary"], n)], loss


def l2_bytes(device):
    return torch.cuda.get_device_properties(device).L2_cache_size if device.type == "cuda" else 0


def times_us(function, shapes, device, samples, max_runs):
    size = max(1, sum(2 * math.prod(shape) for shape in shapes))
    sets = max(1, min(64, 3 * l2_bytes(device) // size + 2, 4 * 2**30 // size + 1)) if shapes else 1
    ring = [[torch.randn(shape, device=device, dtype=torch.bfloat16) * 0.02 for shape in shapes] for _ in range(sets)]
    clock = Clock(device)
    runs, done = 1, 0
    for sample in range(-5, samples + 1):  # the first ones are compilation and warming up
        clock.mark()
        for _ in range(runs):
            function(*ring[done % sets])
            done += 1
        if sample == -1:
            clock.mark()
            runs = max(1, min(max_runs, int(1.0 / max(clock.times_ms()[-1], 1e-3))))
            clock.marks.clear()
    return [ms * 1e3 / runs for ms in clock.times_ms()][:samples]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--samples", type=int)
    args = parser.parse_args()
    device = torch.device(args.device)
    if device.type == "cuda":
        torch.backends.cuda.preferred_blas_library("cublaslt")
    samples = args.samples or (2 if args.tiny else 20)
    failed = False
    for kernel, variant, shape, operands, function in cases(TINY if args.tiny else FULL, device):
        try:
            times = times_us(function, operands, device, samples, 1 if args.tiny else 50)
        except Exception as error:  # out of memory, a compiler that is missing, ...: the others may run
            failed = True
            print(f"{kernel}, {shape}: {type(error).__name__}: {error}".splitlines()[0], file=sys.stderr)
            continue
        cuts = statistics.quantiles(times * 2 if len(times) == 1 else times, n=4, method="inclusive")
        row = {"kernel": kernel, "variant": variant, "shape": shape, "dtype": "bf16", "metric": "time", "unit": "us"}
        row |= {"p25": cuts[0], "p50": cuts[1], "p75": cuts[2], "repeats": len(times), "torch": torch.__version__}
        print(json.dumps(row), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
