//! Ports and the like.

use crate::resources;

fn ports(ranges: &str) -> muster_resources::Resources {
    resources(&format!("ports:{ranges}"))
}

#[test]
fn ranges_equals() {
    assert_eq!(ports("[20-40]"), ports("[20-30, 31-39, 40-40]"));
}

#[test]
fn ranges_subset() {
    let [one, two, three, four, five] =
        ["[2-2, 4-5]", "[1-10]", "[2-3]", "[1-2, 4-6]", "[1-4, 5-5]"].map(ports);
    let counts: Vec<usize> = [&one, &two, &three, &four, &five]
        .map(|ports| ports.ranges("ports").as_slice().len())
        .into();
    assert_eq!(counts, [2, 1, 1, 2, 1]);
    for (outer, inner, contains) in [
        (&two, &one, true),
        (&one, &two, false),
        (&three, &one, false),
        (&one, &three, false),
        (&two, &three, true),
        (&three, &two, false),
        (&four, &one, true),
        (&two, &four, true),
        (&five, &one, true),
        (&one, &five, false),
    ] {
        assert_eq!(outer.contains(inner), contains, "{outer} {inner}");
    }
}

#[test]
fn ranges_addition() {
    assert_eq!(
        ports("[20000-40000]") + ports("[30000-50000, 10000-20000]"),
        ports("[10000-50000]")
    );
}

#[test]
fn ranges_addition2() {
    assert_eq!(ports("[1-10, 5-30, 50-60]") + ports("[1-65, 70-80]"), ports("[1-65, 70-80]"));
}

#[test]
fn ranges_addition3() {
    let low = ports("[1-2]") + ports("[3-4]");
    assert_eq!(low, ports("[1-4]"));
    let high = ports("[7-8]") + ports("[5-6]");
    assert_eq!(high, ports("[5-8]"));
    assert_eq!(high + low, ports("[1-8]"));
}

#[test]
fn ranges_addition4() {
    assert_eq!(ports("[1-4, 9-10, 20-22, 26-30]") + ports("[5-8, 23-25]"), ports("[1-10, 20-30]"));
}

#[test]
fn ranges_subtraction() {
    let left = ports("[20000-40000]") - ports("[10000-20000, 30000-50000]");
    assert_eq!(left, ports("[20001-29999]"));
}

#[test]
fn ranges_subtraction1() {
    assert_eq!(ports("[50000-60000]") - ports("[50000-50001]"), ports("[50002-60000]"));
}

#[test]
fn ranges_subtraction2() {
    assert_eq!(ports("[50000-60000]") - ports("[50000-50000]"), ports("[50001-60000]"));
}

#[test]
fn ranges_subtraction3() {
    let free = ports("[50000-60000]") - (resources("") + ports("[50000-50001]"));
    assert_eq!(free, ports("[50002-60000]"));
}

#[test]
fn ranges_subtraction4() {
    let left = ports("[50000-60000]") - ports("[50000-60000]");
    assert!(left.is_empty());
    assert!(left.ranges("ports").is_empty());
}

#[test]
fn ranges_subtraction5() {
    let left = ports("[1-10, 20-30, 40-50]") - ports("[2-9, 15-45, 48-50]");
    assert_eq!(left, ports("[1-1, 10-10, 46-47]"));
}

#[test]
fn ranges_subtraction6() {
    assert_eq!(ports("[1-10]") - ports("[11-20]"), ports("[1-10]"));
}
