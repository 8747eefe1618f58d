"""Makes test/golden/gguf: blocks of every type with what gguf-py decodes them to, and pieces that sentencepiece trained.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install gguf==0.19.0 numpy sentencepiece==0.2.3
    /tmp/venv/bin/python scripts/interop/make-gguf-fixtures.py

Blocks are random bytes (seeded) under scales of ordinary size, and quantized normal numbers where gguf-py can quantize.
The pieces are trained on examples/texts/narrative.calibration.txt (public domain). No text holds a user-defined piece as it
is written: Hugging Face's tokenizers and llama.cpp put a space in front of what follows one, sentencepiece does not.
"""

import base64
import importlib.metadata
import json
import pathlib
import tempfile

import numpy
import sentencepiece
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quants

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "test/golden/gguf"
SEED = 20_261_125
WEIGHTS = 768
QUANTIZED = 256
TYPES = "F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS".split()
# Where the high byte of each half lies in a block: random ones would be infinite too often.
HALVES = {
    "Q4_0": [1],
    "Q4_1": [1, 3],
    "Q5_0": [1],
    "Q5_1": [1, 3],
    "Q8_0": [1],
    "Q2_K": [81, 83],
    "Q3_K": [109],
    "Q4_K": [1, 3],
    "Q5_K": [1, 3],
    "Q6_K": [209],
    "IQ4_NL": [1],
    "IQ4_XS": [1],
    "F16": [1],
    "BF16": [],
}

# Runs of spaces of every length that the texts have: then merging them ends where sentencepiece's longest match does.
USER_DEFINED = ["<|user|>", *("\u2581" * length for length in range(2, 7))]

TEXTS = [
    "",
    " ",
    "a",
    "The old house stood on the hill.",
    " leading and trailing ",
    "two  spaces   three    four     five",
    "tabs\tand\nnewlines\n\n\nend",
    "digits 1 12 123 1234 and 3.14",
    "größe naïve café Ελληνικά русский 中文 日本語",
    "👩🏽‍💻 \u0000 \u200b \ufffd \ufeff",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "it's we'll don't",
    "▁ written out",
]


def blocks():
    random = numpy.random.default_rng(SEED)
    found = {}
    for name in TYPES:
        kind = GGMLQuantizationType[name]
        elements, size = GGML_QUANT_SIZES[kind]
        rows = random.integers(0, 256, (WEIGHTS // elements, size), dtype=numpy.uint8)
        for high in HALVES[name]:
            # Exponents 5 to 12 of 31, either sign.
            rows[:, high] = (rows[:, high] & 0x80) | random.integers(0x14, 0x34, len(rows), dtype=numpy.uint8)
        if name == "BF16":
            rows[:, 1] = (rows[:, 1] & 0x80) | random.integers(0x3A, 0x40, len(rows), dtype=numpy.uint8)
        parts = [rows.reshape(-1)]
        try:
            normal = random.standard_normal(QUANTIZED, dtype=numpy.float32) * numpy.float32(0.02)
            parts.append(quants.quantize(normal, kind).reshape(-1).view(numpy.uint8))
        except NotImplementedError:
            pass
        data = numpy.concatenate(parts)
        weights = quants.dequantize(data, kind).astype("<f4")
        found[name] = {
            "blocks": base64.b64encode(data.tobytes()).decode(),
            "weights": base64.b64encode(weights.tobytes()).decode(),
        }
    return found


def pieces():
    with tempfile.TemporaryDirectory() as folder:
        sentencepiece.SentencePieceTrainer.train(
            input=str(ROOT / "examples/texts/narrative.calibration.txt"),
            model_prefix=f"{folder}/m",
            vocab_size=700,
            model_type="bpe",
            byte_fallback=True,
            character_coverage=0.999,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            split_digits=True,
            allow_whitespace_only_pieces=True,
            user_defined_symbols=USER_DEFINED,
            hard_vocab_limit=False,
            num_threads=1,
            minloglevel=2,
        )
        made = sentencepiece.SentencePieceProcessor(model_file=f"{folder}/m.model")
    kinds = []
    for index in range(made.vocab_size()):
        is_user = made.id_to_piece(index) in USER_DEFINED
        kind = 2 if made.is_unknown(index) else 3 if made.is_control(index) else 6 if made.is_byte(index) else 4 if is_user else 1
        kinds.append(kind)
    return {
        "tokens": [made.id_to_piece(index) for index in range(made.vocab_size())],
        "scores": [made.get_score(index) for index in range(made.vocab_size())],
        "types": kinds,
        "bos": made.bos_id(),
        "eos": made.eos_id(),
        "unknown": made.unk_id(),
        "texts": [{"text": text, "ids": made.encode(text)} for text in TEXTS],
    }


def write(name, value):
    versions = {package: importlib.metadata.version(package) for package in ("gguf", "numpy", "sentencepiece")}
    text = json.dumps({"madeBy": "scripts/interop/make-gguf-fixtures.py", "versions": versions, **value}, ensure_ascii=False)
    (OUT / name).write_text(text + "\n", encoding="utf-8")
    print(name, len(text))


OUT.mkdir(parents=True, exist_ok=True)
write("blocks.json", {"types": blocks()})
write("pieces.json", pieces())
