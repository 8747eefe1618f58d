use super::*;

fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

fn gram_of(statistics: &mut InputStatistics, name: &str) -> Vec<f32> {
    let columns = statistics.columns();
    let path = std::env::temp_dir().join(format!("lathe-gram-{name}-{}", std::process::id()));
    let range = ByteRange { path: path.clone(), offset: 8, bytes: 4 * (columns * columns) as u64 };
    statistics.write_gram(&Context::with_threads(2).unwrap(), &range).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    bytes[8..].chunks_exact(4).map(|word| f32::from_le_bytes(word.try_into().unwrap())).collect()
}

#[test]
fn every_body_agrees_with_plain_sums() {
    for columns in [1, 3, 8, 31, 32, 33, 64, 100, 257] {
        for rows in [1, 2, 255, 256, 257, 600] {
            let numbers = noise(rows * columns, (columns * rows) as u32);
            let mut expected = vec![0.0_f64; columns * columns];
            for row in numbers.chunks_exact(columns) {
                for (i, a) in row.iter().enumerate() {
                    for (j, b) in row.iter().enumerate() {
                        expected[i * columns + j] += f64::from(*a) * f64::from(*b);
                    }
                }
            }
            for backend in Backend::available() {
                let mut statistics = InputStatistics::new(columns, true).unwrap();
                statistics.feed_with(backend, &Context::with_threads(2).unwrap(), &numbers).unwrap();
                let found = gram_of(&mut statistics, &format!("{columns}-{rows}-{}", backend.name()));
                for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    // Products are below 1; a group of 256 rounds 256 sums of single precision, each below 256.
                    let bound = 256.0 * 2.0_f64.powi(-24) * rows as f64 + expected.abs() * 2.0_f64.powi(-24);
                    assert!((f64::from(*found) - expected).abs() <= bound, "{columns} {rows} {at}: {found} {expected}");
                }
                let ColumnStatistics { rows: counted, sums, squares, greatest } = statistics.columns_so_far();
                assert_eq!(counted, rows as u64);
                for column in 0..columns {
                    let of: Vec<f64> = numbers.iter().skip(column).step_by(columns).map(|x| f64::from(*x)).collect();
                    assert!((sums[column] - of.iter().sum::<f64>()).abs() < 1e-9);
                    assert!((squares[column] - of.iter().map(|x| x * x).sum::<f64>()).abs() < 1e-9);
                    assert_eq!(f64::from(greatest[column]), of.iter().fold(0.0, |most: f64, x| most.max(x.abs())));
                }
            }
        }
    }
}

#[test]
fn the_bits_depend_neither_on_threads_nor_on_how_rows_come() {
    let (columns, rows) = (70, 900);
    let numbers = noise(rows * columns, 7);
    let feed = |threads: usize, cuts: &[usize]| {
        let context = Context::with_threads(threads).unwrap();
        let mut statistics = InputStatistics::new(columns, true).unwrap();
        let mut rest = &numbers[..];
        for cut in cuts {
            let (first, after) = rest.split_at(cut * columns);
            statistics.feed(&context, first).unwrap();
            rest = after;
        }
        statistics.feed(&context, rest).unwrap();
        let columns = statistics.columns_so_far();
        (gram_of(&mut statistics, &format!("cuts-{threads}-{}", cuts.len())), columns)
    };
    let whole = feed(1, &[]);
    assert!(whole == feed(3, &[]));
    assert!(whole == feed(2, &[1, 254, 1, 1, 255, 256, 100]));
    assert!(whole == feed(2, &[300, 0, 512]));
}

#[test]
fn writing_ends_them_and_changes_no_figure() {
    let numbers = noise(300 * 40, 3);
    let context = Context::with_threads(1).unwrap();
    let mut statistics = InputStatistics::new(40, true).unwrap();
    statistics.feed(&context, &numbers).unwrap();
    let before = statistics.columns_so_far();
    let gram = gram_of(&mut statistics, "once");
    assert_eq!(statistics.columns_so_far(), before);
    assert_eq!(gram_of(&mut statistics, "again"), gram);
    assert_eq!(statistics.feed(&context, &numbers[..40]).unwrap_err().status, Status::BadArgument);
    assert_eq!(statistics.columns_so_far(), before);
}

#[test]
fn writing_takes_no_second_matrix_nor_do_waiting_rows_more_than_their_group() {
    let context = Context::with_threads(1).unwrap();
    let mut statistics = InputStatistics::new(40, true).unwrap();
    for _ in 0..3 {
        statistics.feed(&context, &noise(50 * 40, 4)).unwrap();
        assert_eq!(statistics.pending.capacity(), GROUP_ROWS * 40);
    }
    let place = statistics.gram.as_ptr();
    gram_of(&mut statistics, "in-place");
    // What was written is what lies where the sums were.
    assert_eq!(statistics.gram.as_ptr(), place);
    assert!(statistics.pending.is_empty());
    let squares = statistics.columns_so_far().squares;
    assert!((statistics.gram[0] - squares[0]).abs() < 1e-3);
}

#[test]
fn what_cannot_be_is_refused() {
    let context = Context::with_threads(1).unwrap();
    for columns in [0, MAX_COLUMNS + 1, usize::MAX] {
        assert_eq!(InputStatistics::new(columns, true).err().map(|error| error.status), Some(Status::BadArgument));
    }
    let mut statistics = InputStatistics::new(4, false).unwrap();
    assert_eq!(statistics.feed(&context, &[1.0; 6]).unwrap_err().status, Status::BadArgument);
    statistics.feed(&context, &[1.0; 8]).unwrap();
    for wrong in [f32::NAN, f32::NEG_INFINITY] {
        let error = statistics.feed(&context, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, wrong, 8.0]).unwrap_err();
        assert_eq!(error.status, Status::NotFinite);
        assert!(error.what.contains("row 3") && error.what.contains("column 2"), "{}", error.what);
    }
    assert_eq!(statistics.columns_so_far().rows, 2);
    let range = ByteRange { path: std::env::temp_dir().join("none"), offset: 0, bytes: 64 };
    assert_eq!(statistics.write_gram(&context, &range).unwrap_err().status, Status::BadArgument);
}
