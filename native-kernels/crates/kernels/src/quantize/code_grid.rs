//! The levels that codes stand for, in units of a block's scale.

use super::sixteen_lanes::Lanes;
use crate::blocks::block_layouts::IQ4_LEVELS;

/// A set of levels, ascending; a weight takes the nearest one.
pub trait CodeGrid: Copy {
    /// The lowest level.
    fn lowest(self) -> f32;
    /// The highest level.
    fn highest(self) -> f32;
    /// The level nearest to `value`.
    fn nearest<L: Lanes>(self, value: L) -> L;
    /// The code of a level.
    fn code(self, level: f32) -> u8;
}

/// Whole numbers from `low` to `high`.
#[derive(Clone, Copy)]
pub struct Whole {
    /// Code 0.
    pub low: f32,
    /// The last code.
    pub high: f32,
}

impl CodeGrid for Whole {
    #[inline(always)]
    fn lowest(self) -> f32 {
        self.low
    }
    #[inline(always)]
    fn highest(self) -> f32 {
        self.high
    }
    #[inline(always)]
    fn nearest<L: Lanes>(self, value: L) -> L {
        value.max(L::splat(self.low)).min(L::splat(self.high)).round()
    }
    #[inline(always)]
    fn code(self, level: f32) -> u8 {
        (level - self.low) as u8
    }
}

/// The 16 levels of IQ4_NL and IQ4_XS.
#[derive(Clone, Copy)]
pub struct Iq4;

/// Levels lie 11 or more apart, so a cell 8 wide holds no more than one border between two of them.
const CELL_WIDTH: f32 = 8.0;
/// Where cell 0 begins.
const CELLS_FROM: f32 = -128.0;
/// The level below the border of a cell, the border, and the level above it.
const CELLS: ([f32; 32], [f32; 32], [f32; 32]) = cells();

const fn cells() -> ([f32; 32], [f32; 32], [f32; 32]) {
    let (mut below, mut border, mut above) = ([0.0; 32], [0.0; 32], [0.0; 32]);
    let mut cell = 0;
    while cell < 32 {
        let end = CELLS_FROM + CELL_WIDTH * (cell as f32 + 1.0);
        let mut code = 0;
        // The last border before the cell's end.
        while code < 14 && (IQ4_LEVELS[code + 1] as f32 + IQ4_LEVELS[code + 2] as f32) / 2.0 < end {
            code += 1;
        }
        below[cell] = IQ4_LEVELS[code] as f32;
        above[cell] = IQ4_LEVELS[code + 1] as f32;
        border[cell] = (below[cell] + above[cell]) / 2.0;
        cell += 1;
    }
    (below, border, above)
}

impl CodeGrid for Iq4 {
    #[inline(always)]
    fn lowest(self) -> f32 {
        -127.0
    }
    #[inline(always)]
    fn highest(self) -> f32 {
        113.0
    }
    #[inline(always)]
    fn nearest<L: Lanes>(self, value: L) -> L {
        let value = value.max(L::splat(-127.0)).min(L::splat(113.0));
        // Cells are found by rounding: their middles are the whole numbers.
        let cell = value.sub(L::splat(CELLS_FROM + CELL_WIDTH / 2.0)).mul(L::splat(1.0 / CELL_WIDTH)).round();
        let (below, border, above) = (cell.look_up(&CELLS.0), cell.look_up(&CELLS.1), cell.look_up(&CELLS.2));
        border.if_less(value, above, below)
    }
    #[inline(always)]
    fn code(self, level: f32) -> u8 {
        IQ4_CODES[(level + 128.0) as u8 as usize]
    }
}

/// The code of each level, at its place plus 128.
const IQ4_CODES: [u8; 256] = {
    let mut codes = [0; 256];
    let mut code = 0;
    while code < 16 {
        codes[(IQ4_LEVELS[code] as i32 + 128) as usize] = code as u8;
        code += 1;
    }
    codes
};
