//! DRAM transfers in whole bursts.

use isa::access::Pages;
use isa::{Hardware, Op};
use timing::Traffic;

use super::product;

/// A DRAM transfer: `runs` contiguous ranges of `run_bytes`, `stride` bytes apart.
struct Transfer {
    address: u64,
    runs: u32,
    run_bytes: u64,
    stride: u64,
}

impl Transfer {
    /// The transfer of a word, whether it writes; `None` for other words.
    fn of(op: &Op, pages: &Pages, hardware: &Hardware) -> Option<(Transfer, bool)> {
        let single = |address, run_bytes| Transfer { address, runs: 1, run_bytes, stride: 0 };
        match op {
            Op::Load(op) => {
                let geom = pages.load_geom(op.page).ok()?;
                let row_bytes = product([geom.elems, geom.bits]).div_ceil(8);
                let run_bytes = row_bytes.saturating_mul(geom.rows.into());
                let stride = geom.dram_stride;
                Some((Transfer { address: op.src, runs: op.count, run_bytes, stride }, false))
            }
            Op::LoadParams(op) => {
                let bytes = product([op.count, hardware.param_entry_bytes()]);
                Some((single(op.src, bytes), false))
            }
            Op::LoadTable(op) => Some((single(op.src, op.bytes.into()), false)),
            Op::Store(op) => {
                let geom = pages.store_geom(op.page).ok()?;
                let run_bytes = product([geom.rows, geom.bytes]);
                let stride = geom.dram_stride;
                Some((Transfer { address: op.dst, runs: op.count, run_bytes, stride }, true))
            }
            _ => None,
        }
    }

    /// Bursts of all runs (rule T20): each run is cut at multiples of the burst size; runs that touch are one.
    fn bursts(&self, burst_bytes: u64) -> u64 {
        let cut = |start: u64, bytes: u64| {
            start.saturating_add(bytes).div_ceil(burst_bytes).saturating_sub(start / burst_bytes)
        };
        if self.stride == self.run_bytes {
            return cut(self.address, self.useful_bytes());
        }
        let start = |run: u32| self.address.saturating_add(self.stride.saturating_mul(run.into()));
        (0..self.runs).map(|run| cut(start(run), self.run_bytes)).fold(0, u64::saturating_add)
    }

    fn useful_bytes(&self) -> u64 {
        self.run_bytes.saturating_mul(self.runs.into())
    }
}

/// DRAM bytes of a word, whole bursts.
pub(super) fn transferred(op: &Op, pages: &Pages, hardware: &Hardware) -> Traffic {
    let Some((transfer, writes)) = Transfer::of(op, pages, hardware) else {
        return Traffic::default();
    };
    let burst_bytes = u64::from(hardware.dram_burst_bytes.max(1));
    let bytes = transfer.bursts(burst_bytes).saturating_mul(burst_bytes);
    let (read_bytes, write_bytes) = if writes { (0, bytes) } else { (bytes, 0) };
    Traffic { read_bytes, write_bytes, useful_bytes: transfer.useful_bytes() }
}
