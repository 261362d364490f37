"""What backward keeps of a program's layers: bytes per token and layer, in units of the hidden size.

Counts the storages that autograd saves, once each, and takes the slope between models of two and of four layers, so
that embedding and loss drop out. Prints one JSON object for each program.

    python3 bench/peers/saved_bytes.py dense/eager dense/compile dense-budget/compile
"""

import json
import sys
from types import SimpleNamespace

import torch

from measure import batch
from model import Shape
from programs import Skipped, build


def saved_bytes(program, tokens):
    """Bytes that the hidden states of these tokens leave for backward, parameters and buffers aside."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (*program.model.parameters(), *program.model.buffers())}
    storages = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            storages[storage.data_ptr()] = (storage.nbytes(), tensor)  # kept alive, so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = program.loss(tokens, tokens)
    loss.backward()
    return sum(size for size, _ in storages.values())


def per_token_layer(name, mode, hidden=256, ffn=688, heads=4, sequence=256, sequences=2):
    options = SimpleNamespace(compile=mode == "compile", chunk=256, states=torch.bfloat16, rank_ratio=0.25)
    options.learning_rate = 0.0
    counts = []
    torch.set_default_dtype(torch.bfloat16)
    for layers in (2, 4):
        torch.manual_seed(0)
        torch.compiler.reset()
        torch._functorch.config.activation_memory_budget = 1.0
        shape = Shape(64, hidden, ffn, heads, layers, sequence)
        tokens, _ = batch(shape, sequences, torch.device("cpu"))
        counts.append(saved_bytes(build(name, shape, options), tokens))
    return (counts[1] - counts[0]) / 2 / (sequences * sequence) / hidden


def main():
    for word in sys.argv[1:]:
        name, mode = word.split("/")
        row = {"program": name, "mode": mode}
        try:
            row["bytesPerTokenLayerAndHidden"] = round(per_token_layer(name, mode), 2)
        except Skipped as reason:
            row["skipped"] = str(reason)
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
