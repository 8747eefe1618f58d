"""Two peers that run in Python: the loop in which the DFloat11 package's compressor spends its time, and ZipNN.

The loop is written anew from the format's description (one Python step a weight: append a code to a bit buffer, note
where a window and a block begin). ZipNN works on bytes here, so PyTorch, which it imports, is replaced by an empty shell.
Usage: python_peers.py SAFETENSORS_FILE loop|zipnn. Prints one JSON object.
"""

import json
import struct
import sys
import time
from unittest.mock import MagicMock

LOOP_WEIGHTS = 1 << 20
ZIPNN_BYTES = 128 << 20
RUNS = 5


def read_weights(path, limit):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        file.seek(8 + length)
        return file.read(limit)


def huffman_codes(symbols):
    """Codes of the exponents, as (value, length); any optimal code takes the loop the same time."""
    import heapq

    counts = {}
    for symbol in symbols:
        counts[symbol] = counts.get(symbol, 0) + 1
    heap = [(count, symbol, (symbol,)) for symbol, count in counts.items()]
    heapq.heapify(heap)
    codes = {symbol: (0, 0) for symbol in counts}
    while len(heap) > 1:
        (count_a, name, leaves_a), (count_b, _, leaves_b) = heapq.heappop(heap), heapq.heappop(heap)
        for bit, leaves in ((0, leaves_a), (1, leaves_b)):
            for leaf in leaves:
                value, length = codes[leaf]
                codes[leaf] = (value | bit << length, length + 1)
        heapq.heappush(heap, (count_a + count_b, name, leaves_a + leaves_b))
    return codes


def encode(symbols, codes, window_bits=64, block_windows=512):
    stream, gaps, positions = bytearray(), [], []
    buffer = filled = total = 0
    for index, symbol in enumerate(symbols):
        if total // window_bits >= len(gaps):
            if len(gaps) % block_windows == 0:
                positions.append(index)
            gaps.append(total % window_bits)
        value, length = codes[symbol]
        buffer = buffer << length | value
        filled += length
        total += length
        while filled >= 8:
            filled -= 8
            stream.append(buffer >> filled & 255)
        buffer &= (1 << filled) - 1
    return stream, gaps, positions, total


def measure_loop(path):
    words = struct.unpack(f"<{LOOP_WEIGHTS}H", read_weights(path, 2 * LOOP_WEIGHTS))
    symbols = [word >> 7 & 255 for word in words]
    codes = huffman_codes(symbols)
    stream, _, _, total = encode(symbols, codes)
    back = {(length, value): symbol for symbol, (value, length) in codes.items()}
    bits = "".join(format(byte, "08b") for byte in stream)
    at = 0
    for symbol in symbols:
        length = codes[symbol][1]
        if at + length > len(bits):
            break
        assert back[(length, int(bits[at : at + length], 2))] == symbol
        at += length
    assert total - at < 40
    rates = []
    for _ in range(RUNS):
        start = time.perf_counter()
        encode(symbols, codes)
        rates.append(LOOP_WEIGHTS / (time.perf_counter() - start) / 1e6)
    return {"encodeMweights": sorted(rates)[RUNS // 2], "weights": LOOP_WEIGHTS}


def measure_zipnn(path):
    for name in ("torch", "safetensors.torch"):
        sys.modules[name] = MagicMock()
    from zipnn import ZipNN

    data = read_weights(path, ZIPNN_BYTES)
    coder = ZipNN(method="AUTO", input_format="byte", bytearray_dtype="bfloat16", threads=1)
    encode_rates, decode_rates, coded = [], [], b""
    for _ in range(RUNS + 1):
        # It changes its input, so every run gets a copy.
        copy = bytearray(data)
        start = time.perf_counter()
        coded = coder.compress(copy)
        middle = time.perf_counter()
        back = coder.decompress(coded)
        end = time.perf_counter()
        assert bytes(back) == data
        encode_rates.append(len(data) / 2 / (middle - start) / 1e6)
        decode_rates.append(len(data) / 2 / (end - middle) / 1e6)
    return {
        "encodeMweights": sorted(encode_rates[1:])[RUNS // 2],
        "decodeMweights": sorted(decode_rates[1:])[RUNS // 2],
        "ratio": len(coded) / len(data),
        "weights": len(data) // 2,
    }


print(json.dumps({"loop": measure_loop, "zipnn": measure_zipnn}[sys.argv[2]](sys.argv[1])))
