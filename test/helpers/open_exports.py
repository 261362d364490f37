"""Opens models with Hugging Face's transformers, with adapters by PEFT where there are some, or from a file of GGUF, and prints, as a JSON list,
the logits of the last token of each.

    python3 test/helpers/open_exports.py '[{"base": "downloads/llama", "adapters": "my-adapters", "tokens": [1, 2, 3]},
                                            {"gguf": "my-model.gguf", "tokens": [1, 2, 3]}]'
"""

import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from transformers import AutoModelForCausalLM
from transformers.utils import logging

logging.disable_progress_bar()


def opened(base=None, adapters=None, gguf=None):
    if gguf is not None:
        folder, name = os.path.split(gguf)
        # Of some architectures they take an id for padding for granted that small vocabularies do not have. Caps of
        # scores are computed by their eager attention alone.
        words = {"dtype": torch.float32, "pad_token_id": 0, "attn_implementation": "eager"}
        return AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, **words)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if adapters is None:
        return model
    from peft import PeftModel

    return PeftModel.from_pretrained(model, adapters)


def logits(tokens, **files):
    with torch.no_grad():
        return opened(**files).eval()(torch.tensor([tokens]), use_cache=False).logits[0, -1].tolist()


print(json.dumps([logits(**request) for request in json.loads(sys.argv[1])]))
