//! Which instruction sets this processor has, found once at run time.

/// A body of a kernel. `Scalar` is the plain reference that judges the others; it exists for every kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Backend {
    /// Plain Rust, any processor.
    Scalar,
    /// 128-bit Arm vectors.
    Neon,
    /// 256-bit x86 vectors with BMI2.
    Avx2,
    /// 512-bit x86 vectors with the byte and word instructions (F, BW, DQ, VL, VBMI, VBMI2).
    Avx512,
}

impl Backend {
    /// The name that `lathe doctor` prints.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// Every backend that this processor can run, the plain one first, the fastest last.
    pub fn available() -> Vec<Self> {
        #[allow(unused_mut)]
        let mut backends = vec![Self::Scalar];
        #[cfg(target_arch = "aarch64")]
        backends.push(Self::Neon);
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2") && is_x86_feature_detected!("lzcnt")
            {
                backends.push(Self::Avx2);
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vbmi")
                    && is_x86_feature_detected!("avx512vbmi2")
                {
                    backends.push(Self::Avx512);
                }
            }
        }
        backends
    }

    /// The fastest backend that this processor can run.
    pub fn best() -> Self {
        use std::sync::OnceLock;
        static BEST: OnceLock<Backend> = OnceLock::new();
        *BEST.get_or_init(|| *Self::available().last().unwrap_or(&Self::Scalar))
    }
}

/// The processor features found that kernels make use of, as compilers name them.
pub fn features() -> Vec<&'static str> {
    #[allow(unused_mut)]
    let mut found = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        macro_rules! look_for {
            ($($name:tt)*) => {$(
                if is_x86_feature_detected!($name) {
                    found.push($name);
                }
            )*};
        }
        look_for!("ssse3" "sse4.1" "lzcnt" "bmi1" "bmi2" "avx2" "sha" "avx512f" "avx512bw" "avx512dq" "avx512vl" "avx512vbmi" "avx512vbmi2");
    }
    #[cfg(target_arch = "aarch64")]
    {
        macro_rules! look_for {
            ($($name:tt)*) => {$(
                if std::arch::is_aarch64_feature_detected!($name) {
                    found.push($name);
                }
            )*};
        }
        look_for!("neon" "sha2");
    }
    found
}
