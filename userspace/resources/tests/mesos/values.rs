//! Values by themselves.

use muster_resources::{Problem, Range, Ranges, Value};

fn parse(text: &str) -> Result<Option<Value>, Problem> {
    Value::parse(text)
}

fn ranges(text: &str) -> Ranges {
    match parse(text) {
        Ok(Some(Value::Ranges(ranges))) => ranges,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn valid_input() {
    assert!(
        matches!(parse("45.55"), Ok(Some(Value::Scalar(scalar))) if scalar.thousandths() == 45_550)
    );
    assert_eq!(ranges("[10000-20000, 30000-50000]").to_string(), "[10000-20000, 30000-50000]");
    let Ok(Some(Value::Set(items))) = parse("{sda1, sda2}") else { panic!("no set") };
    assert_eq!(items.iter().collect::<Vec<_>>(), ["sda1", "sda2"]);
    for words in ["123abc,s", "inf", "-inf", "infinity", "-infinity", "nan", "-nan"] {
        assert_eq!(parse(words), Ok(None), "{words}");
    }
}

#[test]
fn invalid_input() {
    for text in
        ["{aa,b}}", "[1-2]]", "[1-2b]", "  ", "7.63918e-313", "-7.63918e-313", "1]", "[1", "[-]"]
    {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn set_subtraction() {
    let set = |text| match parse(text) {
        Ok(Some(Value::Set(items))) => items,
        other => panic!("{text}: {other:?}"),
    };
    let mut one = set("{sda1, sda2, sda3}");
    one.subtract(&set("{sda2, sda3}"));
    assert_eq!(one, set("{sda1}"));
    let mut other = set("{sda4}");
    other.subtract(&one);
    assert_eq!(other, set("{sda4}"));
}

#[test]
fn ranges_parse() {
    assert_eq!(ranges("[1-10]").as_slice(), [Range { begin: 1, end: 10 }]);
    let expected = [(1, 4), (7, 10)].map(|(begin, end)| Range { begin, end });
    assert_eq!(ranges("[1-4, 7-10]").as_slice(), expected);
}

#[test]
fn ranges_coalesce() {
    let parts = [(1, 4), (3, 5), (7, 8), (8, 10)].map(|(begin, end)| Range { begin, end });
    assert_eq!(Ranges::new(parts).unwrap().to_string(), "[1-5, 7-10]");
}

#[test]
fn ranges_coalesce_parse() {
    for (text, coalesced) in [
        ("[4-6, 6-8, 5-9, 3-4, 2-5, 4-6, 1-1, 10-10, 4-6]", "[1-10]"),
        ("[4-6, 6-8]", "[4-8]"),
        ("[6-8, 4-6]", "[4-8]"),
        ("[1-10, 8-10]", "[1-10]"),
        ("[1-11, 8-10]", "[1-11]"),
        ("[1-4, 4-5, 7-8, 8-10]", "[1-5, 7-10]"),
        ("[7-8, 1-4, [8-10], 4-5]", "[1-5, 7-10]"),
        ("[4-6, 7-8]", "[4-8]"),
        ("[4-6, 7-7]", "[4-7]"),
        ("[4-6, 7-7, 8-8, 9-9]", "[4-9]"),
        ("[4-6, 7-7, 9-10, 9-11]", "[4-7, 9-11]"),
        ("[6-8, 6-8, 4-6, 6-8]", "[4-8]"),
    ] {
        assert_eq!(ranges(text).to_string(), coalesced, "{text}");
    }
}

#[test]
fn add_range_coalesce() {
    let mut all = ranges("[1-4, 8-10]");
    for (added, sum) in [("[4-8]", "[1-10]"), ("[5-7]", "[1-10]"), ("[20-21]", "[1-10, 20-21]")] {
        all.add(&ranges(added));
        assert_eq!(all.to_string(), sum, "{added}");
    }
}

#[test]
#[expect(clippy::single_range_in_vec_init, reason = "one range is a case")]
fn ranges_to_interval_set() {
    assert_eq!(ranges("[1-1, 3-5, 7-8]").half_open().collect::<Vec<_>>(), [1..2, 3..6, 7..9]);
    assert_eq!(ranges("[1-10, 5-30, 50-60]").half_open().collect::<Vec<_>>(), [1..31, 50..61]);
    assert_eq!(ranges("[1-10, 11-20]").half_open().collect::<Vec<_>>(), [1..21]);
}

#[test]
fn interval_set_to_ranges() {
    let intervals = [1..2, 3..5, 7..10];
    assert_eq!(intervals.into_iter().collect::<Ranges>().to_string(), "[1-1, 3-4, 7-9]");
    let intervals = [1..2, 3..4, 2..3, 10..10, 50..61];
    assert_eq!(intervals.into_iter().collect::<Ranges>().to_string(), "[1-3, 50-60]");
}

#[test]
fn ranges_addition() {
    for (one, other, sum) in [
        ("[3-8]", "[4-10]", "[3-10]"),
        ("[3-8]", "[1-4]", "[1-8]"),
        ("[2-3]", "[1-4]", "[1-4]"),
        ("[2-3]", "[4-6]", "[2-6]"),
        ("[3-5]", "[1-2]", "[1-5]"),
        ("[3-5, 7-8]", "[6-6]", "[3-8]"),
        ("[1-4, 9-10, 20-22, 26-30]", "[5-8, 23-25]", "[1-10, 20-30]"),
        ("[1-10, 5-30, 50-60]", "[1-65, 70-80]", "[1-65, 70-80]"),
        ("[1-2]", "[5-6]", "[1-2, 5-6]"),
    ] {
        let mut all = ranges(one);
        all.add(&ranges(other));
        assert_eq!(all.to_string(), sum, "{one} + {other}");
    }
}

#[test]
fn ranges_subtraction() {
    for (from, taken, left) in [
        ("[]", "[1-10]", "[]"),
        ("[3-8]", "[]", "[3-8]"),
        ("[3-8]", "[1-10]", "[]"),
        ("[3-8]", "[3-5]", "[6-8]"),
        ("[3-8]", "[5-8]", "[3-4]"),
        ("[3-8]", "[5-6]", "[3-4, 7-8]"),
        ("[3-8]", "[1-3]", "[4-8]"),
        ("[3-8]", "[5-10]", "[3-4]"),
        ("[3-8]", "[9-10]", "[3-8]"),
        ("[3-8]", "[1-2]", "[3-8]"),
        ("[1-10, 20-30, 40-50]", "[2-9, 15-45, 48-50]", "[1-1, 10-10, 46-47]"),
        ("[1-10]", "[11-20]", "[1-10]"),
        ("[1-10]", "[1-10]", "[]"),
        ("[1-10]", "[4-5, 7-7]", "[1-3, 6-6, 8-10]"),
    ] {
        let mut all = ranges(from);
        all.subtract(&ranges(taken));
        assert_eq!(all.to_string(), left, "{from} - {taken}");
    }
}
