//! Label selectors: `tier == web, env in (prod, qa), !\!, owner`.

use std::collections::BTreeMap;

/// One condition on labels.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Selector {
    key: String,
    rule: Rule,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    Exists,
    In(Vec<String>),
    NotIn(Vec<String>),
}

/// Conditions that must all hold. A label that is not there meets none of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selectors(Vec<Selector>);

impl Selectors {
    /// Reads selectors separated by commas; see Marathon's `label` parameter.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { rest: text };
        let mut selectors = Vec::new();
        loop {
            selectors.push(parser.selector()?);
            if parser.is_done() {
                return Ok(Self(selectors));
            }
            parser.expect(",")?;
        }
    }

    /// Whether `labels` meet all conditions.
    pub(super) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|selector| {
            labels.get(&selector.key).is_some_and(|value| match &selector.rule {
                Rule::Exists => true,
                Rule::In(values) => values.contains(value),
                Rule::NotIn(values) => !values.contains(value),
            })
        })
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn selector(&mut self) -> Result<Selector, String> {
        let key = self.term()?;
        let rule = if self.take("==") {
            Rule::In(vec![self.term()?])
        } else if self.take("!=") {
            Rule::NotIn(vec![self.term()?])
        } else if self.take("notin") {
            Rule::NotIn(self.set()?)
        } else if self.take("in") {
            Rule::In(self.set()?)
        } else {
            Rule::Exists
        };
        Ok(Selector { key, rule })
    }

    fn set(&mut self) -> Result<Vec<String>, String> {
        self.expect("(")?;
        let mut values = Vec::new();
        if self.take(")") {
            return Ok(values);
        }
        loop {
            values.push(self.term()?);
            if self.take(")") {
                return Ok(values);
            }
            self.expect(",")?;
        }
    }

    /// Letters, digits and `-_.`; anything else after a backslash.
    fn term(&mut self) -> Result<String, String> {
        self.rest = self.rest.trim_start();
        let mut term = String::new();
        let mut chars = self.rest.char_indices();
        let end = loop {
            match chars.next() {
                Some((_, '\\')) => match chars.next() {
                    Some((_, c)) => term.push(c),
                    None => return Err("a backslash at the end".into()),
                },
                Some((_, c)) if c.is_ascii_alphanumeric() || "-_.".contains(c) => term.push(c),
                Some((at, _)) => break at,
                None => break self.rest.len(),
            }
        };
        if term.is_empty() {
            return Err(format!("a name or value is missing before '{}'", self.rest));
        }
        self.rest = &self.rest[end..];
        Ok(term)
    }

    fn take(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(token);
        rest.map(|rest| self.rest = rest).is_some()
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.take(token) {
            return Ok(());
        }
        Err(format!("'{token}' is missing before '{}'", self.rest.trim_start()))
    }

    fn is_done(&self) -> bool {
        self.rest.trim().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_select() {
        let labels: BTreeMap<String, String> = [("tier", "web"), ("env", "qa"), ("!!!", "&&")]
            .map(|(k, v)| (k.into(), v.into()))
            .into();
        for (text, expected) in [
            ("tier == web", true),
            ("tier==web,env!=qa", false),
            ("env in (prod, qa)", true),
            ("env notin (prod)", true),
            ("env notin ()", true),
            ("env in ()", false),
            ("tier, env", true),
            ("owner", false),
            ("owner != me", false),
            (r"\!\!\! in (\&\&, \+)", true),
        ] {
            assert_eq!(Selectors::parse(text).unwrap().matches(&labels), expected, "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "==", "a ==", "a in b", "a in (b", "a b", "a,", "a\\", "a = b"] {
            assert!(Selectors::parse(text).is_err(), "{text}");
        }
    }
}
