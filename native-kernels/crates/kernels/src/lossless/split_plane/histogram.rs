//! Counting bytes.

/// How often each byte value occurs.
pub(crate) type Histogram = [u64; 256];

/// Eight tables, one for each byte of a 64-bit load: neighbours are often equal, and two increments of one counter in a
/// row would wait for each other.
const TABLES: usize = 8;

/// Adds the bytes of `plane` to `histogram`.
pub(crate) fn count(plane: &[u8], histogram: &mut Histogram) {
    // Counters of 32 bits: a slice of 2^31 bytes cannot overflow them.
    for part in plane.chunks(1 << 31) {
        let mut tables = [[0_u32; 256]; TABLES];
        let (eights, rest) = part.as_chunks::<TABLES>();
        for eight in eights {
            let word = u64::from_le_bytes(*eight);
            for (index, table) in tables.iter_mut().enumerate() {
                table[(word >> (8 * index)) as usize & 255] += 1;
            }
        }
        for byte in rest {
            tables[0][usize::from(*byte)] += 1;
        }
        for (value, total) in histogram.iter_mut().enumerate() {
            *total += tables.iter().map(|table| u64::from(table[value])).sum::<u64>();
        }
    }
}

/// The value that all bytes have, if they are equal and there is one.
pub(super) fn single_value(plane: &[u8]) -> Option<u8> {
    let first = *plane.first()?;
    // In pieces, so that a plane that is not constant is left at once, and each piece is one vectorised comparison.
    plane
        .chunks(4096)
        .all(|piece| piece.iter().fold(0, |difference, byte| difference | (byte ^ first)) == 0)
        .then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_every_byte_once() {
        let bytes: Vec<u8> = (0..1003_u32).map(|i| (i * i % 251) as u8).collect();
        for length in [0, 1, 7, 8, 9, 1003] {
            let mut histogram = [0; 256];
            count(&bytes[..length], &mut histogram);
            let mut plain = [0_u64; 256];
            bytes[..length].iter().for_each(|byte| plain[usize::from(*byte)] += 1);
            assert_eq!(histogram, plain);
        }
        assert_eq!(single_value(&[]), None);
        assert_eq!(single_value(&[7; 9000]), Some(7));
        assert_eq!(single_value(&[7, 7, 8]), None);
    }
}
