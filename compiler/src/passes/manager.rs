//! Runs passes, checks the graph after them, and counts what they changed.

use ir::graph::Graph;
use ir::qgraph::QGraph;
use ir::verify::Problem;

use super::{Changes, Context, Pass, PassError};

/// Rounds after which passes are taken to undo each other. Real networks need a dozen.
const MAX_ROUNDS: usize = 200;

/// When to verify the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// After every pass that changed something, which names a faulty pass.
    EachPass,
    /// Once behind the last pass.
    End,
}

/// What one pass did over all rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Name of the pass.
    pub pass: &'static str,
    /// Places changed.
    pub changes: usize,
}

/// A graph that can check itself.
pub trait Verify {
    /// Checks all rules of the graph.
    ///
    /// # Errors
    /// All broken rules.
    fn verify(&self) -> Result<(), Vec<Problem>>;
}

impl Verify for Graph {
    fn verify(&self) -> Result<(), Vec<Problem>> {
        Graph::verify(self)
    }
}

impl Verify for QGraph {
    fn verify(&self) -> Result<(), Vec<Problem>> {
        QGraph::verify(self)
    }
}

/// Runs the first of `passes` that changes something, again and again until none does; tells what each did. So a pass
/// sees the graph only when those in front of it have nothing left to do.
///
/// # Errors
/// When the graph given or left behind is not valid, when a pass refuses it, or when the passes do not come to rest.
pub fn run<Ir: Verify>(
    passes: &[Pass<Ir>],
    graph: &mut Ir,
    context: &mut Context,
    check: Check,
) -> Result<Vec<Applied>, PassError> {
    let verify =
        |graph: &Ir, pass| graph.verify().map_err(|problems| PassError::Invalid { pass, problems });
    verify(graph, "import")?;
    let mut applied: Vec<Applied> =
        passes.iter().map(|pass| Applied { pass: pass.name, changes: 0 }).collect();
    let mut last = "import";
    for _ in 0..MAX_ROUNDS {
        let Some((index, changes)) = first_change(passes, graph, context)? else {
            verify(graph, last)?;
            return Ok(applied);
        };
        last = passes[index].name;
        applied[index].changes += changes;
        if check == Check::EachPass {
            verify(graph, last)?;
        }
    }
    Err(PassError::NoFixpoint { rounds: MAX_ROUNDS, pass: last })
}

/// Runs passes until one changes something; its index and the places it changed.
fn first_change<Ir>(
    passes: &[Pass<Ir>],
    graph: &mut Ir,
    context: &mut Context,
) -> Result<Option<(usize, usize)>, PassError> {
    for (index, pass) in passes.iter().enumerate() {
        let Changes(changes) = (pass.run)(graph, context)?;
        if changes > 0 {
            return Ok(Some((index, changes)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Build;

    fn rename(graph: &mut Graph, _: &mut Context) -> Result<Changes, PassError> {
        graph.name.push('x');
        Ok(Changes(1))
    }

    fn break_it(graph: &mut Graph, _: &mut Context) -> Result<Changes, PassError> {
        let before = graph.outputs.len();
        graph.outputs.clear();
        Ok(Changes(before))
    }

    fn graph() -> Graph {
        let mut b = Build::new(1);
        let x = b.input(&[1, 2, 3, 3]);
        let y = b.clip(x, 0.0, 6.0);
        b.finish(&[y])
    }

    #[test]
    fn restless_passes_are_stopped() {
        let passes = [Pass { name: "rename", about: "", run: rename }];
        let result = run(&passes, &mut graph(), &mut Context::default(), Check::End);
        assert_eq!(result, Err(PassError::NoFixpoint { rounds: MAX_ROUNDS, pass: "rename" }));
    }

    #[test]
    fn the_faulty_pass_is_named() {
        let passes = [Pass { name: "break", about: "", run: break_it }];
        for check in [Check::EachPass, Check::End] {
            let result = run(&passes, &mut graph(), &mut Context::default(), check);
            let problems = vec![Problem::NoOutput];
            assert_eq!(result, Err(PassError::Invalid { pass: "break", problems }));
        }
    }
}
