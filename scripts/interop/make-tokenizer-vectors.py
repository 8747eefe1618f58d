"""Makes test/golden/tokenizer: small tokenizers of every kind, and what the tokenizers library makes of awkward texts.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install tokenizers==0.23.3
    /tmp/venv/bin/python scripts/interop/make-tokenizer-vectors.py

Trained on examples/texts/narrative.calibration.txt (public domain) and a few lines written here.
"""

import json
import pathlib

from tokenizers import Regex, Tokenizer, __version__, decoders, models, normalizers, pre_tokenizers, trainers

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "test/golden/tokenizer"
SAMPLE = ROOT / "examples/models/docs-llama-7m/tokenizer.json"

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
CL100K = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
)
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

EXTRA = (
    "Größe, naïve café, Ελληνικά, русский язык, 中文字符, 日本語のテキスト, 한국어, العربية 123 ١٢٣, हिन्दी १२३, "
    "x² + y³ = ½ z, it's we'll I'D don'T, price: $1,234.56!\n" * 20
)

TEXTS = [
    "",
    " ",
    "a",
    "Hello world",
    " leading and trailing ",
    "two  spaces   three    four",
    "of the and the  of   the in the    land of",
    "tabs\tand\t\ttabs\n\n\nnewlines\n",
    "CRLF\r\nline\r\n\r\nend\r",
    "lone\rcarriage return",
    "it's we'll I'D don'T 'twas 'S O'Reilly'",
    "digits 1 12 123 1234 12345 3.14159 1,000,000",
    "½ ² ³ ¼ Ⅷ ⅓ ①②③ ½½ ²³²³ a½½b ½a²b",
    " \ufeffx \ufeff\ufeff x\ufeff\ufeffx \u0085x \u0085\u0085",
    "١٢١٢ १२१२ 𝟏𝟐𝟏𝟐 x١٢१२x",
    "١٢٣٤ १२३४ ๑๒๓ 𝟏𝟐𝟑",
    "café cafe\u0301 Å \u212b A\u030a ﬁ ﬃ",
    "한국어 \u1112\u1161\u11ab",
    "中文字符没有空格，也要分词。",
    "日本語のテキスト、カタカナ。",
    "العربية من اليمين إلى اليسار",
    "हिन्दी में लिखा हुआ",
    "👨‍👩‍👧‍👦 👩🏽‍💻 🏳️‍🌈 🇩🇪🇫🇷",
    "\u0000NUL\u0000in\u0000side",
    "\ufeffbyte order mark \ufeff inside",
    "next\u0085line \u0085\u0085 nbsp\u00a0\u00a0x\u00a0 thin\u2009space\u3000ideographic",
    "zero\u200bwidth\u200djoiner\u2060word\u00adsoft",
    "line\u2028separator\u2029paragraph",
    "control \u0001\u001b[31m\u007f\u001c\u001d",
    "\U0001d518\U0001d52b\U0001d526 \U0010ffff \ue000 \ufffd",
    "a\u0300\u0301\u0302\u0303\u0304 z\u0323\u0307",
    "x" * 300,
    "antidisestablishmentarianism" * 20,
    "   \n   \t  \n\n \r\n  end",
    "!!!??...---___***\n///",
    "https://example.org/a/b?c=d&e=f#g user@example.org C:\\path\\file.txt",
    "def f(x):\n    return x ** 2  # power\n\n\nclass A:\n\tpass\n",
    "<|endoftext|>special<|endoftext|> in text <s>and</s>",
    "<|endoftext|>",
    " <|endoftext|> spaces <|endoftext|>\nlines",
    "▁metaspace ▁▁ in the text▁",
    "Ġbyte Ċ level signs",
    "ȺȾİıſẞß ΑΣ ς",
    "ABC abc AbC aBc XMLHttpRequest HTTPServer's",
    "The LORD spake unto Moses, saying, Speak unto the children of Israel.\nAnd it came to pass.\n\nIn those days.",
]


def train(tokenizer, trainer, more=""):
    text = (ROOT / "examples/texts/narrative.calibration.txt").read_text(encoding="utf-8")[:60000] + EXTRA + more
    lines = text.splitlines(keepends=True)
    tokenizer.train_from_iterator(lines, trainer)
    return tokenizer


# What the library does not take for one word, to be learnt by tokenizers that are trained without words: only the words
# then keep these tokens from being used.
ODD = " \ufeffx \ufeff\ufeff \u0085x \u0085\u0085 ١٢١٢ १२१२ ½½ ²³²³ 𝟏𝟐𝟏𝟐\n" * 60


def byte_level(pre_tokenizer, normalizer=None, vocabulary=420, odd=False, **model):
    tokenizer = Tokenizer(models.BPE(**model))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False) if odd else pre_tokenizer
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    train(tokenizer, trainer, ODD if odd else "")
    tokenizer.pre_tokenizer = pre_tokenizer
    return tokenizer


def split_words(pattern):
    split = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def sentencepiece(pre_tokenizer, change):
    """A BPE over characters with byte fallback; `change` turns what was trained into the kind that is wanted."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizer
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=620, special_tokens=special, limit_alphabet=60, show_progress=False)
    data = json.loads(train(tokenizer, trainer).to_str())
    data["added_tokens"] = [token for token in data["added_tokens"] if not token["content"].startswith("<0x")]
    data["decoder"] = {
        "type": "Sequence",
        "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"},
            {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ],
    }
    change(data)
    return Tokenizer.from_str(json.dumps(data))


def as_llama2(data):
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    data["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, replace]}
    data["pre_tokenizer"] = None


def as_gemma(data):
    data["normalizer"] = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    split = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
    data["pre_tokenizer"] = split
    data["decoder"]["decoders"].pop()


def as_metaspace(scheme, split):
    def change(data):
        step = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split}
        data["pre_tokenizer"] = step

    return change


WHOLE_LINES = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=False)
METASPACE = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=True)
DIGITS = pre_tokenizers.Sequence(
    [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
)
DIGIT_RUNS = pre_tokenizers.Sequence(
    [pre_tokenizers.Digits(individual_digits=False), pre_tokenizers.ByteLevel(add_prefix_space=False)]
)

KINDS = {
    "gpt2-prefix": lambda: byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True)),
    "gpt2": lambda: byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), vocabulary=640, odd=True),
    "smollm": lambda: byte_level(DIGITS, vocabulary=640, odd=True),
    "digit-runs": lambda: byte_level(DIGIT_RUNS, vocabulary=640, odd=True),
    "llama3": lambda: byte_level(split_words(LLAMA3), ignore_merges=True),
    "qwen2": lambda: byte_level(split_words(QWEN2), normalizers.NFC()),
    "cl100k": lambda: byte_level(split_words(CL100K)),
    "o200k": lambda: byte_level(split_words(O200K)),
    "llama2": lambda: sentencepiece(METASPACE, as_llama2),
    "gemma": lambda: sentencepiece(METASPACE, as_gemma),
    "metaspace-first": lambda: sentencepiece(METASPACE, as_metaspace("first", False)),
    "metaspace-always": lambda: sentencepiece(METASPACE, as_metaspace("always", True)),
    "metaspace-across": lambda: sentencepiece(WHOLE_LINES, as_metaspace("first", True)),
    "metaspace-whole": lambda: sentencepiece(WHOLE_LINES, as_metaspace("first", False)),
    "metaspace-never": lambda: sentencepiece(METASPACE, as_metaspace("never", True)),
}


def vectors(tokenizer):
    found = []
    for text in TEXTS:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        decoded = tokenizer.decode(ids, skip_special_tokens=False)
        entry = {"text": text, "ids": ids}
        if decoded != text:
            entry["decoded"] = decoded
        found.append(entry)
    return found


def write(path, data):
    path.write_text(json.dumps(data, ensure_ascii=True, separators=(",", ":")) + "\n", encoding="utf-8")


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    made = {"docs-llama-7m": vectors(Tokenizer.from_file(str(SAMPLE)))}
    for kind, make in KINDS.items():
        tokenizer = make()
        write(OUT / f"{kind}.json", json.loads(tokenizer.to_str()))
        made[kind] = vectors(tokenizer)
    note = f"Made by scripts/interop/make-tokenizer-vectors.py with tokenizers {__version__}."
    write(OUT / "vectors.json", {"note": note, "kinds": made})


if __name__ == "__main__":
    main()
