//! The process: arguments in, exit code out.

use std::process::ExitCode;

// Measured beside the system's allocator: a fifth less memory per idle connection (docs/benchmarks.md).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    portcullis::keys::install_crypto();
    portcullis::command::main()
}
