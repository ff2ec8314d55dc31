//! Lets every packet pass an interface: a veth is not told of what XDP transmits at its other end, unless it has
//! a program itself. Says `ready`, and holds the program until standard input ends.
//!
//! `xdp_pass INTERFACE`

use std::{
    env,
    io::{self, Read as _},
    process::ExitCode,
};

use aya::{
    EbpfLoader,
    programs::{Xdp, xdp::XdpMode},
};

static REFERENCES: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/muster-references"));

fn main() -> ExitCode {
    match hold() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xdp_pass: {error}");
            ExitCode::FAILURE
        }
    }
}

fn hold() -> Result<(), Box<dyn std::error::Error>> {
    let interface = env::args().nth(1).ok_or("the interface is missing")?;
    let mut references = EbpfLoader::new().load(REFERENCES)?;
    let pass: &mut Xdp = references.program_mut("pass").ok_or("pass is missing")?.try_into()?;
    pass.load()?;
    pass.attach(&interface, XdpMode::Driver)?;
    println!("ready");
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
