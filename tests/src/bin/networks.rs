//! Random networks, machines and options without end: host runtime, simulator and simulator with plain loops in a hostile
//! order must agree. What fails is made small and written to a file that becomes a test when moved to `tests/regressions`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use qcc_tests::case::{Case, Verdict};
use qcc_tests::choices::{Choices, shrink};
use qcc_tests::generate::float;
use qcc_tests::machines::tiny;

/// One case in so many starts from a float network.
const FLOAT_SHARE: u64 = 4;

/// Time for making one failing case smaller.
const SHRINK_TIME: Duration = Duration::from_secs(60);

/// Compare host runtime, simulator and plain simulator on random networks, machines and options
#[derive(Debug, Parser)]
#[command(
    after_help = "Overnight: cargo run --release -p qcc-tests --bin networks -- --seconds 28800 --seed 1\n\nExit codes: 0 all equal, 3 some case failed."
)]
struct Arguments {
    /// How long to go on
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// First seed; others follow
    #[arg(long, default_value_t = 1_000_000)]
    seed: u64,
    /// Start from such networks alone [default: three integer ones, one float]
    #[arg(long)]
    only: Option<Start>,
    /// Run these files instead of random cases
    #[arg(long, value_name = "FILE", num_args = 1..)]
    replay: Vec<PathBuf>,
    /// Where failing cases go
    #[arg(short, long, value_name = "FOLDER", default_value = "target/fuzz-failures")]
    output: PathBuf,
}

/// Where a case starts.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Start {
    /// An integer network.
    Integer,
    /// A float network, written as ONNX.
    Float,
}

impl Start {
    fn of(seed: u64) -> Start {
        if seed.is_multiple_of(FLOAT_SHARE) { Start::Float } else { Start::Integer }
    }

    /// A case from random numbers.
    fn case(self, rng: &mut Choices) -> Result<Option<Case>, String> {
        match self {
            Start::Integer => Ok(Some(Case::integer(rng).0)),
            Start::Float => Ok(Case::float(rng)?.map(|(case, _)| case)),
        }
    }
}

/// What `f` returns, or how it panicked, as an error.
fn caught<T>(f: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}

fn check(start: Start, rng: &mut Choices) -> Result<Option<Verdict>, String> {
    caught(|| start.case(rng)?.map(|case| case.check()).transpose())
}

/// Makes a failing case small and writes it: as numbers if it fails before there is an integer network.
fn keep(start: Start, seed: u64, given: &[u64], folder: &Path) -> Result<PathBuf, String> {
    let until = Instant::now() + SHRINK_TIME;
    let fails = |numbers: &[u64]| check(start, &mut Choices::replay(numbers)).is_err();
    let least = shrink(given.to_vec(), until, fails);
    let made = caught(|| start.case(&mut Choices::replay(&least)));
    let text = match made {
        Ok(Some(case)) => case.shortest(|part| caught(|| part.check()).is_err()).to_string(),
        // No integer network yet: the float network for people and for `qcc`, the numbers for a replay.
        other => {
            let message = other.err().unwrap_or_default();
            let mut rng = Choices::replay(&least);
            let hw = tiny(&mut rng);
            let graph = float::network(&mut rng).0;
            write(&folder.join(format!("seed-{seed}.onnx")), &ir::onnx::save(&graph))?;
            format!("{least:?}\n{message}\n{}{graph}", hw.to_toml())
        }
    };
    let path = folder.join(format!("seed-{seed}.case"));
    write(&path, text.as_bytes())?;
    Ok(path)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    folder
        .and_then(|()| std::fs::write(path, bytes))
        .map_err(|e| format!("{}: {e}", path.display()))
}

fn replay(path: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    let numbers = text.lines().next().and_then(|line| line.strip_prefix('[')?.strip_suffix(']'));
    let Some(numbers) = numbers else { return text.parse::<Case>()?.check().map(|_| ()) };
    let numbers = numbers.split(", ").map(str::parse).collect::<Result<Vec<u64>, _>>();
    let mut rng = Choices::replay(&numbers.map_err(|e| e.to_string())?);
    Case::float(&mut rng)?.map_or(Ok(()), |(case, _)| case.check().map(|_| ()))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let failed = AtomicBool::new(false);
    for path in &arguments.replay {
        if let Err(e) = replay(path) {
            println!("{}: {e}", path.display());
            failed.store(true, Ordering::Relaxed);
        }
    }
    if arguments.replay.is_empty() {
        random(&arguments, &failed);
    }
    if failed.into_inner() { ExitCode::from(3) } else { ExitCode::SUCCESS }
}

fn random(arguments: &Arguments, failed: &AtomicBool) {
    // A panic is a result here, told once the case is small.
    std::panic::set_hook(Box::new(|_| {}));
    let begin = Instant::now();
    let until = begin + Duration::from_secs(arguments.seconds);
    let next = AtomicU64::new(arguments.seed);
    // Equal, too large for the machine, refused, failed.
    let counts = [const { AtomicU64::new(0) }; 4];
    let shown = Mutex::new(());
    let work = || {
        while Instant::now() < until {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let start = arguments.only.unwrap_or_else(|| Start::of(seed));
            let mut rng = Choices::random(seed);
            let kind = match check(start, &mut rng) {
                Ok(Some(Verdict::Equal)) => 0,
                Ok(Some(Verdict::DoesNotFit)) => 1,
                Ok(None) => 2,
                Err(message) => {
                    failed.store(true, Ordering::Relaxed);
                    let kept = keep(start, seed, rng.given(), &arguments.output);
                    let _guard = shown.lock();
                    println!("seed {seed}: {message}");
                    match kept {
                        Ok(path) => println!("  kept in {}", path.display()),
                        Err(e) => eprintln!("  not kept: {e}"),
                    }
                    3
                }
            };
            counts[kind].fetch_add(1, Ordering::Relaxed);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let [equal, large, refused, failures] = counts.map(AtomicU64::into_inner);
    println!(
        "{} cases in {} s: {equal} equal, {large} too large for their machine, {refused} refused, {failures} failed",
        equal + large + refused + failures,
        begin.elapsed().as_secs()
    );
}
