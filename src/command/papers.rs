//! `portcullis completions` and `portcullis man`: what packages ship beside the binary.
//!
//! Guarantees: both come from the same arguments that the binary parses, so that they cannot be outdated.
//! Does not know: where a system wants them.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;

#[derive(clap::Args)]
pub(super) struct CompletionsArgs {
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

#[derive(clap::Args)]
pub(super) struct ManArgs {
    /// The directory to write them to; it has to be there
    #[arg(value_name = "DIR")]
    out: PathBuf,
}

/// Prints what the shell reads.
pub(super) fn completions(args: &CompletionsArgs) -> io::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "portcullis", &mut script);
    io::stdout().lock().write_all(&script)
}

/// Writes `portcullis.1` and a page for each command.
pub(super) fn man(args: &ManArgs) -> io::Result<()> {
    clap_mangen::generate_to(Cli::command(), &args.out)
}
