#!/usr/bin/env bash
# Fuzzes one target for so many seconds with libFuzzer, on stable Rust; needs a C++ compiler.
#
#   fuzz/run.sh TARGET SECONDS [option of libFuzzer, or folder of further inputs..]
#
# Targets are the files of fuzz/src/targets that src/targets.rs lists. Works in target/fuzz: `corpus/TARGET` grows from run to run,
# `found/TARGET` holds inputs that failed. A run ends at the first of them; it fails again with
#
#   fuzz/run.sh TARGET 0 target/fuzz/found/TARGET/FILE
#
# The last line is a summary, also appended to target/fuzz/log.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:?usage: fuzz/run.sh TARGET SECONDS [option or folder..]} seconds=${2:?how many seconds?}
shift 2

RUSTC_WORKSPACE_WRAPPER=$PWD/fuzz/instrument.sh cargo build --quiet --locked --release -p qcc-fuzz --features engine --bin fuzz
work=target/fuzz
mkdir -p "$work/corpus/$target" "$work/found/$target" "$work/seeds"
# One worker thread: what runs at once would blur which input reached what. A copy, so that a build does not disturb the run.
TMPDIR=$(mktemp -d -p /dev/shm 2> /dev/null || mktemp -d)
trap 'rm -rf "$TMPDIR"' EXIT
export TMPDIR QCC_FUZZ_TARGET=$target RAYON_NUM_THREADS=1 RUST_BACKTRACE=1
fuzz=$work/$target.bin
cp target/release/fuzz "$fuzz"
QCC_FUZZ_SEEDS=$work/seeds/$target "$fuzz"
options=(-timeout=10 -rss_limit_mb=4096 -max_len=65536)
if [ "$seconds" = 0 ]; then
    "$fuzz" "${options[@]}" "$@"
    exit
fi

failed() { find "$work/found/$target" -type f | wc -l; }
# Time of the processor, user and system, of all that this shell has started. Not in a pipe, whose shell has started nothing.
cpu_seconds() {
    times > "$TMPDIR/times"
    awk 'END { split($1, u, /[ms]/); split($2, s, /[ms]/); printf "%d", u[1] * 60 + u[2] + s[1] * 60 + s[2] }' "$TMPDIR/times"
}
before=$(failed)
cpu_seconds > "$TMPDIR/before"
out=$work/$target.out
started=$(date +%s)
"$fuzz" "${options[@]}" -max_total_time="$seconds" -print_final_stats=1 -dict="$work/seeds/$target.dict" \
    -artifact_prefix="$work/found/$target/" "$work/corpus/$target" "$work/seeds/$target" "$@" > /dev/null 2> "$out" || true
wall=$(($(date +%s) - started))
cpu_seconds > "$TMPDIR/after"
cpu=$(($(< "$TMPDIR/after") - $(< "$TMPDIR/before")))
executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$out" | tail -1)
[ -n "$executions" ] || executions=$(sed -n 's/^#\([0-9]*\).*/\1/p' "$out" | tail -1)
coverage=$(grep -o 'cov: [0-9]* ft: [0-9]*' "$out" | tail -1 || true)
found=$(($(failed) - before))
echo "$target: $wall s, $cpu s of processor time, $executions executions, $coverage, found $found" | tee -a "$work/log"
if [ "$found" != 0 ]; then
    tail -60 "$out"
    exit 1
fi
