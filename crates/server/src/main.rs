// SPDX-License-Identifier: MIT OR Apache-2.0
//! `lanyard-server`: the program.

fn main() -> std::process::ExitCode {
    lanyard_server::cli::main()
}
