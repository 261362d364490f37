"""Opens checkpoints with Hugging Face's transformers and prints, as a JSON list, what it made of each.

    python3 test/helpers/open_checkpoints.py '[{"folder": "runs/demo/checkpoint-100", "prompt": "The ", "tokens": 8}]'
"""

import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

logging.disable_progress_bar()


def opened(folder, prompt, tokens):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    ids = tokenizer(prompt)["input_ids"]
    # The model alone decides: no sampling, no end.
    written = model.generate(
        torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), do_sample=False, max_new_tokens=tokens
    )[0].tolist()
    rope = getattr(model.config, "rope_parameters", None) or {"rope_theta": model.config.rope_theta}
    return {
        "promptIds": ids,
        "text": tokenizer.decode(written, skip_special_tokens=True),
        "ropeTheta": rope["rope_theta"],
        "config": {key: getattr(model.config, f"{key}_token_id") for key in ["bos", "eos", "pad"]},
        "generation": {key: getattr(model.generation_config, f"{key}_token_id") for key in ["bos", "eos", "pad"]},
        "tokenizer": {key: getattr(tokenizer, f"{key}_token_id") for key in ["bos", "eos", "pad"]},
        "dtype": str(model.dtype),
    }


print(json.dumps([opened(**request) for request in json.loads(sys.argv[1])]))
