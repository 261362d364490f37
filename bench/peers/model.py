"""A LLaMA in PyTorch, as the peers train it: rms_norm, scaled_dot_product_attention, SwiGLU, no biases.

Linear layers that read the same tensor form a group, so that a method can save one thing for all of them.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass(frozen=True)
class Shape:
    vocab: int
    hidden: int
    ffn: int
    heads: int
    layers: int
    sequence: int
    epsilon: float = 1e-6


class LinearGroup(nn.Module):
    """x (..., n) to one tensor (..., m) for each width m."""

    def __init__(self, inputs, widths):
        super().__init__()
        self.linears = nn.ModuleList(nn.Linear(inputs, width, bias=False) for width in widths)

    def forward(self, x):
        return [linear(x) for linear in self.linears]


class Block(nn.Module):
    def __init__(self, shape, group):
        super().__init__()
        hidden, ffn = shape.hidden, shape.ffn
        self.heads, self.epsilon = shape.heads, shape.epsilon
        self.attention_norm = nn.Parameter(torch.ones(hidden))
        self.query_key_value = group(hidden, [hidden] * 3)
        self.output = nn.Linear(hidden, hidden, bias=False)
        self.mlp_norm = nn.Parameter(torch.ones(hidden))
        self.gate_up = group(hidden, [ffn] * 2)
        self.down = group(ffn, [hidden])

    def forward(self, x, cos, sin):
        batch, tokens, hidden = x.shape
        normed = F.rms_norm(x, (hidden,), self.attention_norm, self.epsilon)
        q, k, v = (y.view(batch, tokens, self.heads, -1).transpose(1, 2) for y in self.query_key_value(normed))
        attended = F.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v, is_causal=True)
        x = x + self.output(attended.transpose(1, 2).reshape(batch, tokens, hidden))
        gate, up = self.gate_up(F.rms_norm(x, (hidden,), self.mlp_norm, self.epsilon))
        return x + self.down(F.silu(gate) * up)[0]


class Llama(nn.Module):
    """Token ids (batch, tokens) to hidden states (batch * tokens, hidden) after the last norm; `head` is the loss's."""

    def __init__(self, shape, group=LinearGroup, run_block=lambda block, *arguments: block(*arguments)):
        super().__init__()
        self.shape, self.run_block = shape, run_block
        self.embedding = nn.Embedding(shape.vocab, shape.hidden)
        self.blocks = nn.ModuleList(Block(shape, group) for _ in range(shape.layers))
        self.norm = nn.Parameter(torch.ones(shape.hidden))
        self.head = nn.Linear(shape.hidden, shape.vocab, bias=False)
        head_size = shape.hidden // shape.heads
        frequencies = 10000.0 ** (-torch.arange(0, head_size, 2, dtype=torch.float64) / head_size)
        angles = torch.outer(torch.arange(shape.sequence, dtype=torch.float64), frequencies).repeat(1, 2)
        self.register_buffer("cos", angles.cos().to(torch.get_default_dtype()))
        self.register_buffer("sin", angles.sin().to(torch.get_default_dtype()))
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.02)

    def forward(self, tokens):
        x = self.embedding(tokens)
        for block in self.blocks:
            x = self.run_block(block, x, self.cos, self.sin)
        return F.rms_norm(x, (self.shape.hidden,), self.norm, self.shape.epsilon).flatten(0, 1)


def rotate(x, cos, sin):
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin
