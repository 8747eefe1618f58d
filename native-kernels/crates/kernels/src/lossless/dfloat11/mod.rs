//! DFloat11, in the official layout of version 0.5.0 (lossless coding of BF16 weights by a Huffman code of exponents).
