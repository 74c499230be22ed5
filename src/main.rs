//! The process: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    portcullis::keys::install_crypto();
    portcullis::command::main()
}
