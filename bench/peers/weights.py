"""Reads a checkpoint in Hugging Face's names and layout into model.Llama, so that programs begin alike."""

import json
import struct

import torch

DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16}


def read_safetensors(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = bytearray(file.read())
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        dtype = DTYPES[entry["dtype"]]
        tensors[name] = torch.frombuffer(data[begin:end], dtype=dtype).reshape(entry["shape"])
    return tensors


def places(model):
    """Name in the file to parameter."""
    result = {"model.embed_tokens": model.embedding.weight, "model.norm": model.norm, "lm_head": model.head.weight}
    for index, block in enumerate(model.blocks):
        layer = f"model.layers.{index}"
        q, k, v = block.query_key_value.linears
        gate, up = block.gate_up.linears
        (down,) = block.down.linears
        attention = {"q_proj": q, "k_proj": k, "v_proj": v, "o_proj": block.output}
        mlp = {"gate_proj": gate, "up_proj": up, "down_proj": down}
        result |= {f"{layer}.self_attn.{name}": linear.weight for name, linear in attention.items()}
        result |= {f"{layer}.mlp.{name}": linear.weight for name, linear in mlp.items()}
        result[f"{layer}.input_layernorm"] = block.attention_norm
        result[f"{layer}.post_attention_layernorm"] = block.mlp_norm
    return result


@torch.no_grad()
def load(model, path):
    tensors = read_safetensors(path)
    for name, parameter in places(model).items():
        parameter.copy_(tensors[f"{name}.weight"])
