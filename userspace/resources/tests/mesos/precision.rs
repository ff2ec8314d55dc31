//! Three decimals, whatever is done.

use crate::{cpus, resources};

fn assert_stays(text: &str, number: f64) {
    let one = resources(text);
    assert!((cpus(&one) - number).abs() < f64::EPSILON);
    let same = one.clone() + &one + &one - &one - &one;
    assert_eq!(same, one);
    assert!((cpus(&same) - number).abs() < f64::EPSILON);
}

#[test]
fn precision_simple() {
    assert_stays("cpus:1.001", 1.001);
    let (one, zero) = (resources("cpus:1.001"), resources("cpus:0"));
    assert_eq!(one.clone() - &zero, one);
    assert_eq!(one.clone() + &zero, one);
}

#[test]
fn precision_many_ops() {
    let start = resources("cpus:1.001");
    let mut current = start.clone();
    for _ in 0..2500 {
        let next = current.clone() + &current + &current - &current - &current;
        assert_eq!(next, current);
        assert_eq!(next, start);
        current = next;
    }
}

#[test]
fn precision_many_consecutive_ops() {
    let start = resources("cpus:1.001");
    let mut current = start.clone();
    for _ in 0..100_000 {
        current += &start;
    }
    assert_eq!(current.to_string(), "cpus:100101.001");
    for _ in 0..100_000 {
        current -= &start;
    }
    assert_eq!(current, start);
}

#[test]
fn precision_lost() {
    assert_stays("cpus:1.5011", 1.501);
}

#[test]
fn precision_rounding() {
    assert_stays("cpus:1.5015", 1.502);
}
