//! `--adversarial`: the bytes must not depend on how the engines interleave.

use rayon::prelude::*;
use simulator::exec::Kernels;
use simulator::machine::{self, Interleavings, Location, Prepared};
use simulator::report::{Orders, Race, Word};

use crate::error::CliError;
use crate::output::Talk;
use crate::progress::Progress;

/// Runs one sample in hostile orders.
pub(super) fn compare(
    machine: &Prepared<'_>,
    kernels: Kernels,
    inputs: &[Vec<i32>],
    count: u64,
    talk: Talk,
) -> Result<Orders, CliError> {
    let orders = Interleavings::new(machine, kernels, inputs).map_err(CliError::refused)?;
    let progress = Progress::over(talk, "hostile orders", count as usize);
    let races: Result<Vec<_>, _> = (0..count as usize)
        .into_par_iter()
        .map(|index| {
            let race = orders.race(index);
            progress.tick();
            race
        })
        .collect();
    let races: Vec<machine::Race> =
        races.map_err(CliError::refused)?.into_iter().flatten().collect();
    Ok(Orders {
        run: Some(count),
        differing: Some(races.len() as u64),
        race: races.into_iter().next().map(|race| Race {
            early: word(race.early),
            late: word(race.late),
            place: race.place,
        }),
    })
}

fn word(at: Location) -> Word {
    Word { engine: at.engine.to_string(), index: at.index as u64, text: at.text, node: at.node }
}
