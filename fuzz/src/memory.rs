//! The bound on memory as an assertion: an allocator that counts, and ends the process where an input takes more than it justifies.
//!
//! The bound is 64 times the input and 64 MiB, and what the file asks for where it is allowed to ask.
#![expect(unsafe_code, reason = "an allocator has no safe interface")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes that each byte of input justifies.
const PER_BYTE: usize = 64;

/// Bytes that every input may take.
const FREE: usize = 64 << 20;

/// Bytes allocated by all threads.
static LIVE: AtomicUsize = AtomicUsize::new(0);

/// Most bytes that may be allocated now.
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

/// The system's allocator, counted.
struct Counted;

#[global_allocator]
static ALLOCATOR: Counted = Counted;

// SAFETY: every method hands its arguments to the system's allocator unchanged and returns what that returns; counting allocates nothing.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both may exist for a moment.
        take(size);
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(old, layout) }
    }
}

fn take(size: usize) {
    let live = LIVE.fetch_add(size, Relaxed) + size;
    let limit = LIMIT.load(Relaxed);
    // A panic tells more; its message and trace are not the input's.
    if live > limit && !std::thread::panicking() {
        // Telling allocates.
        LIMIT.store(usize::MAX, Relaxed);
        report(size, live - limit);
        std::process::abort();
    }
}

#[expect(clippy::print_stderr, reason = "the last words of the process")]
fn report(size: usize, over: usize) {
    let trace = Backtrace::force_capture();
    eprintln!(
        "memory: {over} bytes more than the input justifies, with {size} just asked for\n{trace}"
    );
}

/// Runs `work` on an input of so many bytes within the bound.
pub fn bounded<T>(input_bytes: usize, work: impl FnOnce() -> T) -> T {
    let limit = LIVE.load(Relaxed) + PER_BYTE * input_bytes + FREE;
    LIMIT.store(limit, Relaxed);
    let result = work();
    LIMIT.store(usize::MAX, Relaxed);
    result
}

/// Lets the running input take so many bytes more: what the file may ask for by its own rules.
pub fn allow(bytes: usize) {
    let limit = LIMIT.load(Relaxed).saturating_add(bytes);
    LIMIT.store(limit, Relaxed);
}
