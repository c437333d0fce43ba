//! Times the host runtime on a compiled program's integer network, for comparisons with other runtimes in turn.
//!
//! Prints `ready` once the network is loaded and warm; for each line `N` of the input it runs `N` times and answers with one
//! line of `N` pairs `wall_ms,cpu_ms` (processor time of the whole process).
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for pipes")]

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use compiler::backend::reference_graph;
use ir::qgraph::QGraph;
use isa::Program;
use runtime::{Prepared, QTensor};
use rustix::time::{ClockId, clock_gettime};

/// Time the host runtime: one line of times for each line with a number of runs
#[derive(Debug, Parser)]
struct Arguments {
    /// A compiled program
    program: PathBuf,
    /// Threads that compute one image
    #[arg(default_value_t = 1)]
    threads: usize,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let bytes = std::fs::read(&arguments.program).map_err(|e| e.to_string())?;
    let program = Program::from_bytes(&bytes).map_err(|e| e.to_string())?;
    let graph = reference_graph(&program).map_err(|e| e.to_string())?;
    let prepared = Prepared::with_threads(&graph, arguments.threads).map_err(|e| e.to_string())?;
    let inputs = inputs(&graph);
    let once = || prepared.run(&inputs).map_err(|e| e.to_string());
    (0..2).try_for_each(|_| once().map(drop))?;
    println!("ready");
    let mut out = std::io::stdout();
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|e| e.to_string())?;
        let runs: usize = line.trim().parse().map_err(|e| format!("{line:?}: {e}"))?;
        for _ in 0..runs {
            let (wall, cpu) = (Instant::now(), processor_ms());
            once()?;
            let wall = wall.elapsed().as_secs_f64() * 1e3;
            write!(out, "{wall:.4},{:.4} ", processor_ms() - cpu).map_err(|e| e.to_string())?;
        }
        writeln!(out).and_then(|()| out.flush()).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// Inputs whose integers are spread over their range.
fn inputs(graph: &QGraph) -> Vec<QTensor> {
    let tensor = |id: &ir::qgraph::ValueId| {
        let value = &graph.values[id.0 as usize];
        QTensor::from_fn(value.shape, value.dtype, |i| (i as i32).wrapping_mul(37) % 256 - 128)
    };
    graph.inputs.iter().map(tensor).collect()
}

/// Processor time of all threads of this process so far.
fn processor_ms() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}
