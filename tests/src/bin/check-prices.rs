//! Holds usage and prices to a file of cases: `check-prices FILE [PRICES]`. Which form the file has is seen from its shape;
//! PRICES is a price list in any form that interfuse loads, for cases that carry no price row. Prints every case that is
//! explained or different, then the sums; the exit code is 1 when any is different, 2 when there was nothing.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use interfuse::catalog::Catalog;
use interfuse_tests::prices::{Sums, Verdict, check};

fn main() -> ExitCode {
    match run() {
        Ok(sums) if sums.cases == 0 => ExitCode::from(2),
        Ok(sums) if sums.different == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("check-prices: {why}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<Sums, String> {
    let mut args = std::env::args().skip(1);
    let file = args.next().ok_or("usage: check-prices FILE [PRICES]")?;
    let read = |path: &str| std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"));
    let mut catalog = (*Catalog::builtin()).clone();
    if let Some(prices) = args.next() {
        let loaded = catalog.load_prices(read(&prices)?.as_bytes()).map_err(|e| e.to_string())?;
        println!("{prices}: {loaded}");
    }
    let checked = check(&read(&file)?, &catalog)?;
    for case in &checked {
        match &case.verdict {
            Verdict::Equal => {}
            Verdict::Explained(why) => println!("explained {}: {why}", case.name),
            Verdict::Different(what) => println!("different {}: {what}", case.name),
        }
    }
    let sums = Sums::of(&checked);
    println!("{sums}");
    Ok(sums)
}
