"""Makes test/golden/forward/*.json: tiny models of every family that Lathe runs, with the logits that Hugging Face
Transformers gives for them.

How to run it (the results that are committed come from Python 3.11, torch 2.15.0, transformers 5.24.0):

    python -m venv /tmp/fixtures && /tmp/fixtures/bin/pip install torch==2.15.0 transformers==5.24.0 numpy
    /tmp/fixtures/bin/python scripts/interop/make-forward-fixtures.py test/golden/forward

A processor is enough; nothing is downloaded. No weights are stored: each one is a function of the fixture's seed, the
tensor's index and the element's index (`draw` below, `test/helpers/drawn-weights.ts` on the other side), so a fixture is
a config, the names and shapes of the tensors as `save_pretrained` stores them, token ids and logits.
"""

import json
import pathlib
import sys
import tempfile

import numpy as np
import torch
import transformers
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM

VOCABULARY = 48
LENGTH = 40

# What every Llama-like config has; heads share keys, and a head's size is not hidden size / heads.
LLAMA = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "max_position_embeddings": 64,
    "tie_word_embeddings": False,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}


def llama(**keys):
    return {**LLAMA, "model_type": "llama", **keys}


def gemma(model_type, **keys):
    config = {**LLAMA, "model_type": model_type, "hidden_activation": "gelu_pytorch_tanh", "num_hidden_layers": 4}
    del config["hidden_act"]
    return {**config, "tie_word_embeddings": True, "sliding_window": 8, "query_pre_attn_scalar": 24, **keys}


def rope(kind, **keys):
    return {"rope_type": kind, **keys}


LONG_ROPE = {
    "type": "longrope",
    "short_factor": [1.0, 1.1, 1.2, 1.4, 1.6, 1.9, 2.3, 2.8],
    "long_factor": [1.0, 1.3, 1.9, 2.7, 4.0, 6.0, 9.0, 14.0],
}
PHI3 = {
    **{key: value for key, value in LLAMA.items() if key != "head_dim"},
    "model_type": "phi3",
    "hidden_size": 64,
    "num_hidden_layers": 2,
}

# Gain of the query and key matrices: larger ones make scores that caps bend.
CASES = {
    "llama-plain": (llama(attention_bias=True, mlp_bias=True, num_key_value_heads=4), {}),
    "llama-linear": (llama(rope_scaling={"type": "linear", "factor": 4.0}), {}),
    "llama-dynamic": (llama(rope_scaling={"type": "dynamic", "factor": 2.0}, max_position_embeddings=16), {}),
    "llama-llama3": (
        llama(
            rope_scaling=rope(
                "llama3",
                factor=8.0,
                low_freq_factor=1.0,
                high_freq_factor=4.0,
                original_max_position_embeddings=16,
            ),
            rope_theta=500.0,
            tie_word_embeddings=True,
        ),
        {},
    ),
    "llama-yarn": (llama(rope_scaling=rope("yarn", factor=4.0, original_max_position_embeddings=16), rope_theta=100.0), {}),
    "llama-yarn-options": (
        llama(
            rope_scaling=rope(
                "yarn",
                factor=4.0,
                original_max_position_embeddings=24,
                beta_fast=1.5,
                beta_slow=0.5,
                mscale=1.2,
                mscale_all_dim=0.6,
                truncate=False,
            ),
            rope_theta=100.0,
        ),
        {},
    ),
    "mistral": ({**LLAMA, "model_type": "mistral", "sliding_window": 8}, {}),
    "qwen2": (
        {
            **{key: value for key, value in LLAMA.items() if key != "head_dim"},
            "model_type": "qwen2",
            "hidden_size": 64,
            "use_sliding_window": True,
            "sliding_window": 8,
            "max_window_layers": 1,
        },
        {},
    ),
    "qwen3": ({**LLAMA, "model_type": "qwen3", "rope_theta": 1000000.0}, {}),
    "gemma2": (gemma("gemma2", attn_logit_softcapping=8.0, final_logit_softcapping=8.0), {}),
    "gemma3": (
        gemma(
            "gemma3_text",
            rope_theta=1000000.0,
            rope_local_base_freq=100.0,
            rope_scaling=rope("linear", factor=8.0),
            sliding_window_pattern=2,
        ),
        {},
    ),
    "phi3-short": ({**PHI3, "rope_scaling": LONG_ROPE, "original_max_position_embeddings": 48, "max_position_embeddings": 512, "sliding_window": 12}, {}),
    "phi3-long": ({**PHI3, "rope_scaling": LONG_ROPE, "original_max_position_embeddings": 16, "max_position_embeddings": 512}, {}),
    "phi3-partial": ({**PHI3, "num_attention_heads": 2, "num_key_value_heads": 1, "partial_rotary_factor": 0.5, "rope_scaling": None}, {}),
    "gpt2": (
        {
            "model_type": "gpt2",
            "vocab_size": VOCABULARY,
            "n_embd": 32,
            "n_layer": 3,
            "n_head": 4,
            "n_positions": LENGTH,
            "n_inner": 80,
            "activation_function": "gelu_new",
            "scale_attn_by_inverse_layer_idx": True,
            "tie_word_embeddings": True,
        },
        {},
    ),
    "olmo2": ({**LLAMA, "model_type": "olmo2"}, {}),
}


def draw(seed, tensor, count):
    """`count` numbers from -1 to below 1 in steps of 2^-15: a 32-bit mix of seed, tensor and element."""
    mask = np.uint64(0xFFFFFFFF)
    x = (np.arange(count, dtype=np.uint64) + np.uint64((seed * 0x9E3779B1 + tensor * 0x85EBCA77) & 0xFFFFFFFF)) & mask
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = ((x ^ (x >> np.uint64(shift))) * np.uint64(factor)) & mask
    x ^= x >> np.uint64(16)
    return (x >> np.uint64(16)).astype(np.float64) / 32768 - 1


def spread_of(name, shape, family, gain):
    """Mean and spread of a tensor's weights, so that every part of a block matters and norms are random."""
    if "norm" in name or ".ln_" in name:
        if name.endswith(".bias"):
            return 0.0, 0.25
        return (0.0 if family.startswith("gemma") else 1.0), 0.5
    if name.endswith(".bias"):
        return 0.0, 0.5
    if "wpe" in name:
        return 0.0, 0.5
    if "embed_tokens" in name or "wte" in name:
        return 0.0, 1.0
    inputs = shape[0] if family == "gpt2" and len(shape) == 2 and ".h." in name else shape[-1]
    own = gain if ".q_proj" in name or ".k_proj" in name or "qkv" in name or "c_attn" in name else 1.0
    return 0.0, own * float(np.sqrt(3.0 / inputs)) * 1.5


def stored_tensors(model):
    """Names and shapes as `save_pretrained` stores them."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        with safe_open(pathlib.Path(folder, "model.safetensors"), "np") as file:
            return [(name, list(file.get_slice(name).get_shape())) for name in sorted(file.keys())]


class BentScores:
    """How many of Gemma 2's scores its cap changes by more than 2 %."""

    def __init__(self):
        self.bent = self.all = 0

    def record(self, original):
        def attention(module, query, key, value, mask, dropout=0.0, scaling=None, softcap=None, **keys):
            groups = query.shape[1] // key.shape[1]
            scores = query @ key.repeat_interleave(groups, dim=1).transpose(2, 3) * scaling
            seen = mask[:, :, :, : key.shape[-2]].expand_as(scores) == 0
            capped = softcap * torch.tanh(scores / softcap)
            change = (capped - scores).abs() > 0.02 * scores.abs()
            self.bent += int((change & seen).sum())
            self.all += int(seen.sum())
            return original(module, query, key, value, mask, dropout=dropout, scaling=scaling, softcap=softcap, **keys)

        return attention


def make(name, seed, keys, options):
    family = keys["model_type"]
    config = AutoConfig.for_model(**json.loads(json.dumps(keys)))
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=torch.float32).eval()
    tensors = []
    values = {}
    for index, (tensor, shape) in enumerate(stored_tensors(model)):
        mean, spread = spread_of(tensor, shape, family, options.get("gain", 1.0))
        tensors.append({"name": tensor, "shape": shape, "mean": mean, "spread": spread})
        drawn = mean + spread * draw(seed, index, int(np.prod(shape)))
        values[tensor] = torch.from_numpy(drawn.astype(np.float32).reshape(shape))
    missing, unexpected = model.load_state_dict(values, strict=False)
    tied = set(model.all_tied_weights_keys) if hasattr(model, "all_tied_weights_keys") else {"lm_head.weight"}
    assert not unexpected and set(missing) <= tied | {"lm_head.weight"}, (name, missing, unexpected)
    model.tie_weights()
    ids = np.floor((draw(seed, 1000, LENGTH) + 1) / 2 * VOCABULARY).astype(int)
    bent = BentScores()
    if family == "gemma2":
        module = transformers.models.gemma2.modeling_gemma2
        module.eager_attention_forward = bent.record(module.eager_attention_forward)
    with torch.no_grad():
        logits = model(torch.from_numpy(ids)[None]).logits[0].double().numpy()
    if family == "gemma2":
        print(f"{name}: the cap bends {bent.bent / bent.all:.1%} of the scores")
        assert bent.bent / bent.all >= 0.05
        uncapped = np.abs(np.arctanh(logits / keys["final_logit_softcapping"])) * keys["final_logit_softcapping"]
        assert np.mean(np.abs(uncapped - np.abs(logits)) > 0.02 * uncapped) >= 0.05
    saved = model.config.to_dict()
    changed = {key: saved[key] for key in ("rope_parameters", "layer_types", "architectures") if saved.get(key)}
    fixture = {
        "madeBy": f"torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}, float32, eager attention",
        "seed": seed,
        "config": keys,
        # What Transformers 5 writes in place of `rope_theta`, `rope_scaling` and the rules for windows.
        "savedConfig": changed,
        "tensors": tensors,
        "ids": ids.tolist(),
        "logits": [[float(f"{value:.6g}") for value in row] for row in logits.tolist()],
    }
    return fixture


def write(path, fixture):
    lines = []
    for key, value in fixture.items():
        if key in ("tensors", "logits"):
            inner = ",\n".join("    " + json.dumps(item, separators=(",", ":")) for item in value)
            lines.append(f"  {json.dumps(key)}: [\n{inner}\n  ]")
        else:
            lines.append(f"  {json.dumps(key)}: {json.dumps(value)}")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, (keys, options)) in enumerate(CASES.items(), start=1):
        fixture = make(name, seed, keys, options)
        write(folder / f"{name}.json", fixture)
        largest = max(abs(value) for row in fixture["logits"] for value in row)
        print(f"{name}: {len(fixture['tensors'])} tensors, largest logit {largest:.3f}")


main()
