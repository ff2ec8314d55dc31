//! What isolators may say, and what not.

use super::super::testing::{self, plan, spec};
use super::super::{Isolator, Subject};
use super::*;
use crate::ContainerSpec;
use crate::cgroup::Version;
use crate::launch::plan::Attributes;

/// An isolator that does this.
struct Does(fn(&mut Draft) -> Result<(), Error>);

impl Isolator for Does {
    fn prepare(&self, _request: &Request<'_>, draft: &mut Draft) -> Result<(), Error> {
        (self.0)(draft)
    }
}

fn both(
    first: fn(&mut Draft) -> Result<(), Error>,
    second: fn(&mut Draft) -> Result<(), Error>,
) -> Result<Plan, Error> {
    plan(&[("a/one", &Does(first)), ("b/two", &Does(second))], &spec(), None)
}

#[test]
fn two_values_for_one_thing_are_an_error() {
    type Step = fn(&mut Draft) -> Result<(), Error>;
    let cases: [(Step, Step, &str); 7] = [
        (|d| d.variable("A", "1"), |d| d.variable("A", "2"), "environment A"),
        (|d| d.hostname("a"), |d| d.hostname("b"), "host name"),
        (|d| d.root(Root::Host), |d| d.root(Root::Layers(vec![])), "root filesystem"),
        (|d| d.seccomp(Filter::new(0, &[])), |d| d.seccomp(Filter::new(1, &[])), "seccomp"),
        (|d| d.user("a"), |d| d.user("b"), "user"),
        (|d| d.directory("/a".into()), |d| d.directory("/b".into()), "working directory"),
        (
            |d| d.mount(Mount::link("x", "/data")),
            |d| d.mount(Mount::new("tmpfs", "/data", Attributes::DATA, "")),
            "mount /data",
        ),
    ];
    for (first, second, field) in cases {
        let error = both(first, second).unwrap_err().to_string();
        assert_eq!(error, format!("{field}: a/one has decided it, b/two wants it otherwise"));
    }
}

#[test]
fn the_same_value_twice_is_one() {
    let set = |draft: &mut Draft| {
        draft.variable("A", "1")?;
        draft.hostname("h")?;
        draft.root(Root::Host)
    };
    assert_eq!(both(set, set).unwrap().hostname.as_deref(), Some("h"));
}

#[test]
fn the_callers_own_goes_over_what_isolators_say() {
    let caller = ContainerSpec {
        user: Some("me".into()),
        environment: [("A", "caller"), ("B", "="), ("A", "last")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..spec()
    };
    let does = Does(|draft| {
        draft.image_variable("PATH", "/p");
        draft.image_variable("C", "image");
        draft.image_variable("A", "image");
        draft.variable("A", "isolator")?;
        draft.variable("C", "isolator")?;
        draft.user("image")?;
        draft.argv(vec!["image".into()])
    });
    let process = plan(&[("a/one", &does)], &caller, None).unwrap().process;
    assert_eq!((process.user.as_str(), &*process.argv), ("me", &["c".to_owned()][..]));
    let expected = [
        ("PATH", "/p"),
        ("MESOS_SANDBOX", "/work/sandbox"),
        ("C", "isolator"),
        ("A", "last"),
        ("B", "="),
    ];
    let expected: Vec<_> =
        expected.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    assert_eq!(process.environment, expected);
    assert_eq!(process.directory, caller.sandbox, "without an image");
}

#[test]
fn notes_come_back_by_the_isolators_name() {
    let (_directory, mut subject) = testing::subject(Version::V2, &[]);
    let spec = spec();
    let scratch = &subject.plan.scratch;
    let request = Request {
        spec: &spec,
        parent: None,
        image: None,
        volume_images: &[],
        isolators: &[],
        scratch,
    };
    let mut draft = Draft::new(&request);
    draft.hand_to("a/one");
    draft.note(&["made"]).unwrap();
    subject.notes = draft.notes;
    let text = serde_json::to_string(&subject).unwrap();
    let subject: Subject = serde_json::from_str(&text).unwrap();
    assert_eq!(subject.note("a/one").unwrap(), Some(vec!["made".to_owned()]));
    assert_eq!(subject.note::<u8>("b/two").unwrap(), None);
    let error = subject.note::<u8>("a/one").unwrap_err().to_string();
    assert!(error.contains("the note of a/one: "), "{error}");
}
