"""The peers by name. Each returns a Program: how to get from tokens to a loss, and how to step."""

import itertools
from dataclasses import dataclass
from typing import Any, Callable

import torch
import torch._functorch.config
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from compact import IDENTITY, CompactAdamW, CompactGroup, SeparateGroup
from loss import linear_cross_entropy, softmax_loss
from model import Llama
from optimizers import AdamW, Apollo, GaLore, adam_direction


class Skipped(Exception):
    """Why a program cannot run here."""


@dataclass
class Program:
    model: torch.nn.Module
    loss: Callable  # (tokens, targets) to a scalar
    optimizer: Any


def build(name, shape, options):
    """options: compile, chunk, states, rank_ratio, learning_rate; dtype and device are those of the caller."""
    if name not in PROGRAMS:
        raise Skipped(f"no program {name}; there are {', '.join(PROGRAMS)}")
    return PROGRAMS[name](shape, options)


def own(model, options, optimizer):
    """The model of model.py and the loss of loss.py, compiled when asked to."""
    run, softmax = (torch.compile(model), torch.compile(softmax_loss)) if options.compile else (model, softmax_loss)

    def loss(tokens, targets):
        return linear_cross_entropy(run(tokens), model.head.weight, targets.flatten(), options.chunk, softmax)

    return Program(model, loss, optimizer)


def direction(options):
    return torch.compile(adam_direction) if options.compile else adam_direction


def dense(shape, options, **model_options):
    model = Llama(shape, **model_options)
    return own(model, options, AdamW(model.parameters(), options.states, options.learning_rate, direction(options)))


def dense_budget(shape, options):
    if not options.compile:
        raise Skipped("the activation memory budget is the compiler's: it needs --mode compile")
    torch._functorch.config.activation_memory_budget = 0.9  # rebuilds norm outputs and the SwiGLU product
    return dense(shape, options)


def dense_checkpoint(shape, options):
    return dense(shape, options, run_block=lambda *arguments: checkpoint(*arguments, use_reentrant=False))


def low_rank(optimizer, shape, options, **optimizer_options):
    model = Llama(shape)
    matrices = [p for block in model.blocks for p in block.parameters() if p.dim() == 2]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    ratio = optimizer_options.pop("rank_ratio", options.rank_ratio)
    arguments = (matrices, others, options.states, options.learning_rate, ratio, direction(options))
    return own(model, options, optimizer(*arguments, **optimizer_options))


def compact(shape, options, group=CompactGroup, identity=False):
    seeds = itertools.repeat(IDENTITY) if identity else itertools.count(1)

    def make(inputs, widths):
        rank = inputs if identity else max(1, int(inputs * options.rank_ratio))
        return group(inputs, widths, rank, options.states, seeds)

    model = Llama(shape, make)
    scale, epsilon = (1.0, 1e-8) if identity else (0.25, 1e-6)
    return own(
        model,
        options,
        CompactAdamW(model, options.states, options.learning_rate, scale, epsilon, direction(options)),
    )


def hugging_face(shape, options):
    try:
        from transformers import LlamaConfig, LlamaForCausalLM
    except ImportError:
        raise Skipped("transformers is not installed") from None
    config = LlamaConfig(
        vocab_size=shape.vocab,
        hidden_size=shape.hidden,
        intermediate_size=shape.ffn,
        num_attention_heads=shape.heads,
        num_hidden_layers=shape.layers,
        max_position_embeddings=max(2048, shape.sequence),
        use_cache=False,
        attn_implementation="sdpa",
    )
    model = LlamaForCausalLM(config).to(torch.get_default_dtype())
    run = torch.compile(model) if options.compile else model

    def loss(tokens, targets):
        logits = run(tokens).logits
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())  # fp32 logits, as its own loss has them

    return Program(model, loss, AdamW(model.parameters(), options.states, options.learning_rate, direction(options)))


PROGRAMS = {
    "hugging-face": hugging_face,
    "dense": dense,
    "dense-budget": dense_budget,
    "dense-checkpoint": dense_checkpoint,
    "galore": lambda *a: low_rank(GaLore, *a),
    "galore-layer-wise": lambda *a: low_rank(GaLore, *a, layer_wise=True),
    "apollo": lambda *a: low_rank(Apollo, *a),
    "apollo-rank-1": lambda *a: low_rank(Apollo, *a, rank_ratio=0),
    "compact": compact,
    "compact-separate": lambda *a: compact(*a, group=SeparateGroup),
    "compact-identity": lambda *a: compact(*a, identity=True),
}
