//! Results, for people or as JSON.

use serde_json::json;

use crate::{
    arguments::Arguments,
    cases::Case,
    rounds::{Pair, Taken},
    spread::Spread,
};

pub(crate) fn print(arguments: &Arguments, cases: &[Case<'_>], taken: &Taken) {
    let transmit = taken.discard.iter().map(|pair| pair.transmit).collect();
    line(arguments, "any packet", "transmit", &Spread::of(transmit), None);
    of(arguments, "any packet", "discard", &taken.discard);
    for (case, pairs) in cases.iter().zip(&taken.cases) {
        of(arguments, case.name, case.subject, pairs);
    }
}

fn of(arguments: &Arguments, case: &str, subject: &str, pairs: &[Pair]) {
    let ns = Spread::of(pairs.iter().map(|pair| pair.own).collect());
    let ratio = Spread::of(pairs.iter().map(|pair| pair.own / pair.transmit).collect());
    line(arguments, case, subject, &ns, Some(&ratio));
}

fn line(arguments: &Arguments, case: &str, subject: &str, ns: &Spread, ratio: Option<&Spread>) {
    if !arguments.json {
        let ratio = ratio.map_or_else(String::new, |ratio| {
            let Spread { low, median, high } = ratio;
            format!(", {median:.2} ({low:.2} to {high:.2}) of transmit")
        });
        let Spread { low, median, high } = ns;
        println!("{case:>32}, {subject:>10}: {median:>5.0} ns ({low:.0} to {high:.0}){ratio}");
        return;
    }
    let mut object = json!({
        "bench": "xdp",
        "case": case,
        "subject": subject,
        "value": ns.median,
        "low": ns.low,
        "high": ns.high,
        "unit": "ns",
    });
    if let Some(ratio) = ratio {
        object["ratio_to"] = "transmit".into();
        object["ratio"] = ratio.median.into();
        object["ratio_low"] = ratio.low.into();
        object["ratio_high"] = ratio.high.into();
    }
    println!("{object}");
}
