//! Which block formats there are, and what a block of each holds.

/// A tensor type of GGML that Lathe decodes.
///
/// `Qn_m` is round-to-nearest with a scale (and a minimum) per 32 weights, `QnK` packs 256 weights with scales of their
/// own per 16 or 32, `Iq4…` looks its 16 levels up in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are GGML's own")]
pub enum GgmlType {
    F32,
    F16,
    Bf16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2K,
    Q3K,
    Q4K,
    Q5K,
    Q6K,
    Iq4Nl,
    Iq4Xs,
}

impl GgmlType {
    /// Every type, plain ones first.
    pub const ALL: [Self; 15] = [
        Self::F32,
        Self::F16,
        Self::Bf16,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q2K,
        Self::Q3K,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
        Self::Iq4Nl,
        Self::Iq4Xs,
    ];

    /// As GGUF tools print it.
    pub fn name(self) -> &'static str {
        self.facts().0
    }

    /// The type of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// Weights of a block.
    pub fn block_elements(self) -> u64 {
        self.facts().1
    }

    /// Stored bytes of a block.
    pub fn block_bytes(self) -> u64 {
        self.facts().2
    }

    fn facts(self) -> (&'static str, u64, u64) {
        match self {
            Self::F32 => ("F32", 1, 4),
            Self::F16 => ("F16", 1, 2),
            Self::Bf16 => ("BF16", 1, 2),
            Self::Q4_0 => ("Q4_0", 32, 18),
            Self::Q4_1 => ("Q4_1", 32, 20),
            Self::Q5_0 => ("Q5_0", 32, 22),
            Self::Q5_1 => ("Q5_1", 32, 24),
            Self::Q8_0 => ("Q8_0", 32, 34),
            Self::Q2K => ("Q2_K", 256, 84),
            Self::Q3K => ("Q3_K", 256, 110),
            Self::Q4K => ("Q4_K", 256, 144),
            Self::Q5K => ("Q5_K", 256, 176),
            Self::Q6K => ("Q6_K", 256, 210),
            Self::Iq4Nl => ("IQ4_NL", 32, 18),
            Self::Iq4Xs => ("IQ4_XS", 256, 136),
        }
    }
}
