#!/bin/sh
# Compiles the workspace's own crates for fuzzing, as cargo's RUSTC_WORKSPACE_WRAPPER: edge counters, their places in the code, comparisons,
# and every check of arithmetic. Dependencies stay as they are in an ordinary build.
exec "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions=on -Coverflow-checks=on
