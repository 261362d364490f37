"""Times one training step of a LLaMA in PyTorch on the CPU: forward, backward and AdamW.

The peer of `compact-train bench step-time`: the same shapes, batch, dtypes of weights and moments, and threads.
Weights and optimizer states are in --dtype. The loss is measured twice: with the whole logits at once, as plain
PyTorch code does, and in chunks of tokens that are recomputed in backward, as this package does. Prints one JSON object.
"""

import argparse
import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint


class Block(nn.Module):
    def __init__(self, hidden, ffn, heads, eps=1e-6):
        super().__init__()
        self.heads, self.eps = heads, eps
        self.query, self.key, self.value, self.output = (nn.Linear(hidden, hidden, bias=False) for _ in range(4))
        self.gate, self.up = (nn.Linear(hidden, ffn, bias=False) for _ in range(2))
        self.down = nn.Linear(ffn, hidden, bias=False)
        self.attention_norm = nn.Parameter(torch.ones(hidden))
        self.mlp_norm = nn.Parameter(torch.ones(hidden))

    def forward(self, x, cos, sin):
        batch, tokens, hidden = x.shape
        normed = F.rms_norm(x, (hidden,), self.attention_norm, self.eps)
        q, k, v = (
            linear(normed).view(batch, tokens, self.heads, -1).transpose(1, 2)
            for linear in (self.query, self.key, self.value)
        )
        attended = F.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v, is_causal=True)
        x = x + self.output(attended.transpose(1, 2).reshape(batch, tokens, hidden))
        normed = F.rms_norm(x, (hidden,), self.mlp_norm, self.eps)
        return x + self.down(F.silu(self.gate(normed)) * self.up(normed))


class Llama(nn.Module):
    def __init__(self, vocab, hidden, ffn, heads, layers, sequence):
        super().__init__()
        self.embedding = nn.Embedding(vocab, hidden)
        self.blocks = nn.ModuleList(Block(hidden, ffn, heads) for _ in range(layers))
        self.norm = nn.Parameter(torch.ones(hidden))
        self.head = nn.Linear(hidden, vocab, bias=False)
        head_size = hidden // heads
        frequency = 10000.0 ** (-torch.arange(0, head_size, 2) / head_size)
        angle = torch.outer(torch.arange(sequence), frequency).repeat(1, 2)
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, tokens, targets, chunk):
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        x = F.rms_norm(x, (x.shape[-1],), self.norm, 1e-6).flatten(0, 1)
        targets = targets.flatten()
        if chunk == 0:
            return F.cross_entropy(self.head(x).float(), targets)
        losses = [
            checkpoint(self.chunk_loss, x[i : i + chunk], targets[i : i + chunk], use_reentrant=False)
            for i in range(0, len(targets), chunk)
        ]
        return sum(losses) / len(targets)

    def chunk_loss(self, x, targets):
        return F.cross_entropy(self.head(x).float(), targets, reduction="sum")


def rotate(x, cos, sin):
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


def step_times_ms(args, dtype, chunk, compiled):
    torch.manual_seed(0)
    model = Llama(args.vocab, args.hidden, args.ffn, args.heads, args.layers, args.sequence).to(dtype)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.0, fused=True)
    forward = torch.compile(model) if compiled else model
    tokens = torch.randint(args.vocab, (args.batch, args.sequence + 1))
    times = []
    for step in range(args.warmup + args.steps):
        start = time.perf_counter()
        loss = forward(tokens[:, :-1], tokens[:, 1:], chunk)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()
        if step >= args.warmup:
            times.append((time.perf_counter() - start) * 1e3)
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    defaults = dict(vocab=32000, hidden=512, ffn=1376, heads=8, layers=8, batch=4, sequence=256, threads=2)
    for name, value in {**defaults, "chunk": 256, "steps": 10, "warmup": 3}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--dtypes", default="f32,bf16")
    parser.add_argument("--modes", default="eager", help="eager, compile, or both with a comma")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    rows = []
    for dtype_name in args.dtypes.split(","):
        dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[dtype_name]
        for mode in args.modes.split(","):
            for loss, chunk in (("full", 0), ("chunked", args.chunk)):
                row = {"dtype": dtype_name, "mode": mode, "loss": loss}
                try:
                    times = step_times_ms(args, dtype, chunk, mode == "compile")
                    quantiles = statistics.quantiles(times, n=10, method="inclusive")
                    row |= {"p20": quantiles[1], "p50": statistics.median(times), "p80": quantiles[7]}
                    row |= {"repeats": len(times)}
                except Exception as error:  # torch.compile needs a working C++ compiler
                    row |= {"skipped": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
                rows.append(row)
                print(json.dumps(row), file=sys.stderr, flush=True)
    json.dump({"torch": torch.__version__, "threads": torch.get_num_threads(), "rows": rows}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
