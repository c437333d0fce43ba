//! The way in: run a graph on one image, plainly or fast.
#![deny(clippy::float_arithmetic)]

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ir::qgraph::{QGraph, QNode};

use crate::check::{check, check_inputs};
use crate::execute::{Engine, Keep, execute};
use crate::fast::{Scratch, Step};
use crate::{QTensor, RuntimeError, int8};

/// Which loops compute the operators. The results are equal bit for bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// The plain loops that define each operator.
    Plain,
    /// The SIMD kernels, on whatever vector unit the processor has.
    Fast,
}

/// A checked graph with its weights packed for the fast path: prepared once, run for many images, from many threads.
pub struct Prepared<'g> {
    graph: &'g QGraph,
    steps: Vec<Step<'g>>,
    /// Threads that compute an image at once.
    threads: usize,
    /// Memory of runs that have ended, for those that begin; as many as ever ran at once.
    scratches: Mutex<Vec<Scratch>>,
}

impl<'g> Prepared<'g> {
    /// Checks `graph`, packs its weights and works out where its windows lie.
    ///
    /// # Errors
    /// If the graph breaks its rules or this runtime's limits.
    pub fn new(graph: &'g QGraph) -> Result<Self, RuntimeError> {
        Self::with_threads(graph, 1)
    }

    /// As [`Prepared::new`], each image being computed by up to `threads` threads of rayon's pool at once: for one image as
    /// soon as possible. Many images together go faster with one thread each. The results are the same.
    ///
    /// # Errors
    /// As [`Prepared::new`].
    pub fn with_threads(graph: &'g QGraph, threads: usize) -> Result<Self, RuntimeError> {
        check(graph)?;
        let steps = graph.nodes.iter().map(|node| Step::new(graph, node, threads)).collect();
        Ok(Self { graph, steps, threads, scratches: Mutex::default() })
    }

    /// The graph.
    pub fn graph(&self) -> &'g QGraph {
        self.graph
    }

    /// Runs one image and returns the outputs, in the order of the graph's.
    ///
    /// # Errors
    /// If the inputs do not fit the graph in number, shape or storage type.
    pub fn run(&self, inputs: &[QTensor]) -> Result<Vec<QTensor>, RuntimeError> {
        self.run_keeping(inputs, Keep::Outputs)
    }

    /// Runs one image and returns every value, in the order of the graph's.
    ///
    /// # Errors
    /// As [`Prepared::run`].
    pub fn run_all(&self, inputs: &[QTensor]) -> Result<Vec<QTensor>, RuntimeError> {
        self.run_keeping(inputs, Keep::All)
    }

    fn run_keeping(&self, inputs: &[QTensor], keep: Keep) -> Result<Vec<QTensor>, RuntimeError> {
        check_inputs(self.graph, inputs)?;
        if self.threads > 1 {
            // One of the pool's threads hands out the pieces itself: from outside, each piece would have to wake it first.
            return Ok(rayon::scope(|_| self.execute(inputs, keep)));
        }
        Ok(self.execute(inputs, keep))
    }

    fn execute(&self, inputs: &[QTensor], keep: Keep) -> Vec<QTensor> {
        let scratch = self.scratches().pop().unwrap_or_default();
        let mut engine = Fast { prepared: self, scratch };
        let values = execute(self.graph, inputs, keep, &mut engine);
        self.scratches().push(engine.scratch);
        values
    }

    /// The free memory. A panic elsewhere cannot leave it in a bad state: it is only taken from and added to.
    fn scratches(&self) -> MutexGuard<'_, Vec<Scratch>> {
        self.scratches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Prepared<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("graph", &self.graph.name).finish_non_exhaustive()
    }
}

/// The plain loops.
struct Plain<'g> {
    graph: &'g QGraph,
}

impl Engine for Plain<'_> {
    fn compute(&mut self, _: usize, node: &QNode, operands: &[&QTensor]) -> QTensor {
        int8::execute(self.graph, node, operands)
    }

    fn discard(&mut self, _: QTensor) {}
}

/// The kernels, with the memory of one run.
struct Fast<'p> {
    prepared: &'p Prepared<'p>,
    scratch: Scratch,
}

impl Engine for Fast<'_> {
    fn compute(&mut self, i: usize, node: &QNode, operands: &[&QTensor]) -> QTensor {
        self.prepared.steps[i].run(self.prepared.graph, node, operands, &mut self.scratch)
    }

    fn discard(&mut self, value: QTensor) {
        self.scratch.recycle(value);
    }
}

/// Runs `graph` on one image and returns its outputs, in the order of `graph.outputs`.
///
/// # Errors
/// If the graph breaks its rules or this runtime's limits, or the inputs do not fit it in number, shape or storage type.
pub fn run(graph: &QGraph, inputs: &[QTensor], path: Path) -> Result<Vec<QTensor>, RuntimeError> {
    run_keeping(graph, inputs, path, Keep::Outputs)
}

/// Runs `graph` on one image and returns every value, in the order of `graph.values`.
///
/// # Errors
/// As [`run`].
pub fn run_all(
    graph: &QGraph,
    inputs: &[QTensor],
    path: Path,
) -> Result<Vec<QTensor>, RuntimeError> {
    run_keeping(graph, inputs, path, Keep::All)
}

fn run_keeping(
    graph: &QGraph,
    inputs: &[QTensor],
    path: Path,
    keep: Keep,
) -> Result<Vec<QTensor>, RuntimeError> {
    match path {
        Path::Plain => {
            check(graph)?;
            check_inputs(graph, inputs)?;
            Ok(execute(graph, inputs, keep, &mut Plain { graph }))
        }
        Path::Fast => Prepared::new(graph)?.run_keeping(inputs, keep),
    }
}
