//! Pictures of shares over time.

use muster_simulate::{Series, Simulator};

use super::{answers, path, read};

const SEED: &str = r#"
    {"add_agent":{"id":"a1","resources":"cpus:9;mem:18432"}}
    {"add_framework":{"id":"A"}}
    {"add_framework":{"id":"B"}}
    {"demand":{"framework":"A","task":"cpus:1;mem:4096"}}
    {"demand":{"framework":"B","task":"cpus:3;mem:1024"}}
    {"fill":{}}
"#;

fn recorded(commands: &str) -> Simulator {
    let mut simulator = Simulator::new().recording();
    answers(&mut simulator, commands);
    simulator
}

/// The shares, in thousandths, after each step.
fn shares(simulator: &Simulator, role: &str, framework: Option<&str>) -> Vec<Option<u32>> {
    let series = Series { role: role.to_owned(), framework: framework.map(ToOwned::to_owned) };
    let history = simulator.history().unwrap();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
    let thousandths = |share: f64| (share * 1000.0).round() as u32;
    (0..history.steps()).map(|step| history.share(&series, step).map(thousandths)).collect()
}

/// Filling goes task by task: A, B, A, B, A.
#[test]
fn filling_is_seen_step_by_step() {
    let simulator = recorded(SEED);
    let none = || [None];
    let a = [Some(0), Some(0), Some(222), Some(222), Some(444), Some(444), Some(667)];
    assert_eq!(shares(&simulator, "*", Some("A")), [&none()[..], &a].concat());
    let b = [None, Some(0), Some(0), Some(333), Some(333), Some(667), Some(667)];
    assert_eq!(shares(&simulator, "*", Some("B")), [&none()[..], &b].concat());
}

#[test]
fn what_leaves_has_no_share() {
    let simulator = recorded(
        r#"
        {"add_agent":{"id":"a1","resources":"cpus:4;mem:4096"}}
        {"add_framework":{"id":"f1","roles":["a"]}}
        {"allocate":{}}
        {"remove_framework":{"id":"f1"}}
        {"advance":{"seconds":2.5}}
        {"add_framework":{"id":"f1","roles":["a"]}}
    "#,
    );
    let series = [None, Some(0), Some(1000), None, Some(0)];
    assert_eq!(shares(&simulator, "a", None), series);
    assert_eq!(shares(&simulator, "a", Some("f1")), series);
    let seconds: Vec<f64> =
        simulator.history().unwrap().times().iter().map(std::time::Duration::as_secs_f64).collect();
    assert_eq!(seconds, [0.0, 0.0, 0.0, 0.0, 2.5]);
}

/// `muster simulate --plot docs/simulate.svg` with the first example draws it anew.
#[test]
fn the_document_has_the_picture_of_its_example() {
    let picture = muster_simulate::plot(recorded(SEED).history().unwrap());
    assert_eq!(picture, read(&path("../../docs/simulate.svg")));
}

/// The picture is XML, whatever roles and frameworks are called, and the legend has them all.
#[test]
fn a_picture_can_be_read() {
    let simulator = recorded(
        r#"
        {"add_agent":{"id":"a1","resources":"cpus:4;mem:4096"}}
        {"add_framework":{"id":"<f> & \"g\"","roles":["a<b","x&amp;y"]}}
        {"advance":{"seconds":60}}
        {"allocate":{}}
    "#,
    );
    let picture = muster_simulate::plot(simulator.history().unwrap());
    let document = roxmltree::Document::parse(&picture).unwrap();
    let texts: Vec<&str> = document
        .descendants()
        .filter(|node| node.has_tag_name("text"))
        .filter_map(|node| node.text())
        .collect();
    for name in ["a<b", "x&amp;y", "<f> & \"g\" in a<b", "<f> & \"g\" in x&amp;y", "60 s"] {
        assert!(texts.contains(&name), "{name}: {texts:?}");
    }
    let titles = document.descendants().filter(|node| node.has_tag_name("title")).count();
    // Each line in the picture, and before its name.
    assert_eq!(titles, 2 * 4);
}
