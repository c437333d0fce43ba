//! What makes one sweep the same as another: `sweep.json` beside its points.

use std::path::Path;

use compiler::options::Options;
use explorer::page::About;
use explorer::space::{Assignment, Search, Space, Strategy};
use isa::Hardware;
use serde::{Deserialize, Serialize};

use super::args::Shard;
use crate::error::{CliError, read_file};

/// Name of the file.
pub(super) const FILE: &str = "sweep.json";

/// Everything that rows depend on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Identity {
    /// Version of the tool.
    pub(super) qdse: String,
    /// Name of the network.
    pub(super) network: String,
    /// SHA-256 of its file, hex.
    pub(super) model_sha256: String,
    /// SHA-256 over the samples that are measured, their labels, and those that calibrate, hex.
    pub(super) data_sha256: String,
    /// Samples that are measured.
    pub(super) samples: u64,
    /// The space file.
    pub(super) space: String,
    /// How points are chosen.
    pub(super) strategy: String,
    /// Points to evaluate; all for a grid.
    pub(super) budget: u64,
    /// Seed of the search.
    pub(super) seed: u64,
    /// The part that is evaluated here.
    pub(super) shard: Option<Shard>,
    /// Widths of layers that points choose from; none but for the strategy `mixed`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) assignments: Vec<Assignment>,
    /// How to quantize where no axis says.
    pub(super) options: Options,
    /// The machine where no axis says.
    pub(super) hardware: Hardware,
}

impl Identity {
    /// Reads that of a folder.
    pub(super) fn read(folder: &Path) -> Result<Identity, CliError> {
        let path = folder.join(FILE);
        serde_json::from_slice(&read_file(&path)?)
            .map_err(|e| CliError::in_file(&path, format!("is no description of a sweep: {e}")))
    }

    pub(super) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("it has only string keys") + "\n"
    }

    /// What the report says of it.
    pub(super) fn about(&self) -> About {
        let search = match self.strategy.as_str() {
            "grid" => "all points of the grid".to_owned(),
            "mixed" => "uniform widths, and widths by layer along the curve of cost".to_owned(),
            other => format!("at most {} points by {other} (seed {})", self.budget, self.seed),
        };
        About { network: self.network.clone(), samples: self.samples, search }
    }

    /// The space, searched as this sweep does.
    pub(super) fn space(&self, folder: &Path) -> Result<Space, CliError> {
        let damaged = || CliError::in_file(&folder.join(FILE), "holds no valid space");
        let mut space = Space::parse(&self.space).map_err(|_| damaged())?;
        let strategy = Strategy::from_name(&self.strategy).ok_or_else(damaged)?;
        space.search = Search { strategy, budget: self.budget, seed: self.seed };
        match strategy {
            Strategy::Mixed => {
                space.with_assignments(self.assignments.clone()).map_err(|_| damaged())
            }
            Strategy::Grid | Strategy::Random | Strategy::Nsga2 => Ok(space),
        }
    }

    /// What differs from `other`, for people; empty if rows of one are rows of the other. Layout and remarks of the space file do not
    /// matter.
    pub(super) fn differences(&self, other: &Identity) -> Vec<&'static str> {
        let same_space = || match (Space::parse(&self.space), Space::parse(&other.space)) {
            (Ok(a), Ok(mut b)) => {
                // The search is compared by itself: options may have changed it.
                b.search = a.search;
                a == b
            }
            _ => false,
        };
        let search = |i: &Identity| (i.strategy.clone(), i.budget, i.seed);
        let pairs = [
            ("version of qdse", self.qdse == other.qdse),
            ("model", self.model_sha256 == other.model_sha256),
            ("data", self.data_sha256 == other.data_sha256),
            ("space", self.space == other.space || same_space()),
            ("search", search(self) == search(other)),
            ("shard", self.shard == other.shard),
            ("choice of widths", self.assignments == other.assignments),
            ("options of quantization", self.options == other.options),
            ("machine", self.hardware == other.hardware),
        ];
        pairs.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
    }
}
