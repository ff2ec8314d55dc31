//! Attributes of agents as text, as Mesos writes them.

use muster_api::mesos::{Attribute, value};

use crate::{Error, Problem};

/// Reads `rack:r1;floor:3;slots:[1-4,7-8]`: text, a number, or ranges.
///
/// # Errors
/// [`Problem::Attribute`] with the part that makes no sense.
pub fn parse(text: &str) -> Result<Vec<Attribute>, Error> {
    let parts = text.split([';', '\n']).map(str::trim).filter(|part| !part.is_empty());
    let read = |part| {
        attribute(part).map_err(|problem| Problem::Attribute(problem).at(format!("{part:?}")))
    };
    parts.map(read).collect()
}

fn attribute(part: &str) -> Result<Attribute, &'static str> {
    let (name, value) = part.split_once(':').ok_or("must be NAME:VALUE")?;
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() || value.is_empty() {
        return Err("must be NAME:VALUE");
    }
    let attribute = |kind: value::Type| Attribute {
        name: name.to_owned(),
        r#type: kind.into(),
        ..Attribute::default()
    };
    if value.starts_with('{') {
        return Err("a set cannot be an attribute");
    }
    if let Some(ranges) = value.strip_prefix('[') {
        let ranges = ranges.strip_suffix(']').ok_or("must end with ]")?;
        let range = ranges.split(',').map(range).collect::<Result<_, _>>()?;
        let ranges = Some(value::Ranges { range });
        return Ok(Attribute { ranges, ..attribute(value::Type::Ranges) });
    }
    // "inf" and "nan" are words here.
    if let Some(value) = value.parse().ok().filter(|number: &f64| number.is_finite()) {
        let scalar = Some(value::Scalar { value });
        return Ok(Attribute { scalar, ..attribute(value::Type::Scalar) });
    }
    let text = Some(value::Text { value: value.to_owned() });
    Ok(Attribute { text, ..attribute(value::Type::Text) })
}

fn range(text: &str) -> Result<value::Range, &'static str> {
    let bounds = text
        .split_once('-')
        .and_then(|(begin, end)| Some((begin.trim().parse().ok()?, end.trim().parse().ok()?)));
    match bounds {
        Some((begin, end)) if begin <= end => Ok(value::Range { begin, end }),
        _ => Err("a range must be FIRST-LAST"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_numbers_and_ranges() {
        let parsed = parse("rack:r1; floor:-2.5;\nslots:[1-4, 7-8];word:inf;url:http://x").unwrap();
        let [rack, floor, slots, word, url] = &parsed[..] else { panic!("{parsed:?}") };
        assert_eq!(
            (rack.name.as_str(), rack.text.as_ref().unwrap().value.as_str()),
            ("rack", "r1")
        );
        assert_eq!(floor.scalar, Some(value::Scalar { value: -2.5 }));
        let ranges = &slots.ranges.as_ref().unwrap().range;
        assert_eq!(*ranges, [(1, 4), (7, 8)].map(|(begin, end)| value::Range { begin, end }));
        assert_eq!(word.r#type(), value::Type::Text);
        assert_eq!(url.text.as_ref().unwrap().value, "http://x");
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn what_makes_no_sense_is_quoted() {
        for part in ["rack", ":r1", "rack:", "set:{a,b}", "r:[1-2", "r:[2-1]", "r:[1]", "r:[-1]"] {
            let error = parse(&format!("ok:1;{part}")).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{part:?}: ")), "{error}");
        }
    }
}
