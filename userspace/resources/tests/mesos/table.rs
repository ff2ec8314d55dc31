//! `CONFORMANCE.md` says which of Mesos' tests is which of ours: all of them are there, and
//! all that it says is true.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The file that this is, which is about the tests and has none of Mesos'.
const SELF: &str = "table.rs";

/// A row of the table.
struct Row {
    /// A test of Mesos by case and name, or in words what a test of ours is about.
    about: String,
    /// The file from the crate's root; `not run` for tests that Mesos does not run either.
    file: String,
    /// The function; in place of one that is not run, why.
    test: String,
}

impl Row {
    fn is_of_mesos(&self) -> bool {
        !self.about.contains(' ')
    }

    fn is_run(&self) -> bool {
        self.file != "not run"
    }
}

/// The rows of all tables in a text.
fn rows(text: &str) -> Vec<Row> {
    let lines = text.lines().filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'));
    let cells = |line: &str| -> Vec<String> {
        line.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
    };
    lines
        .map(cells)
        .filter(|cells| !cells[0].starts_with("---") && cells[1] != "file")
        .map(|cells| match <[String; 3]>::try_from(cells) {
            Ok([about, file, test]) => Row { about, file, test },
            Err(cells) => panic!("a row is not of three cells: {cells:?}"),
        })
        .collect()
}

/// The tests in a file.
fn tests(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while lines.by_ref().any(|line| line == "#[test]") {
        let name = lines.find_map(|line| line.strip_prefix("fn ")?.split('(').next());
        found.extend(name.map(str::to_owned));
    }
    found
}

/// Whether a file is a module of the one that it belongs to.
fn is_compiled(path: &Path) -> bool {
    let folder = path.parent().unwrap();
    let module = path.file_stem().unwrap().to_str().unwrap();
    let above = folder.with_extension("rs");
    let above = if above.is_file() { above } else { folder.join("main.rs") };
    module == "main" || fs::read_to_string(above).unwrap().contains(&format!("mod {module};"))
}

/// All files of Rust below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// `DRFSorter` is `drf_sorter`.
fn snake(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (index, letter) in letters.iter().enumerate() {
        let before = index.checked_sub(1).map(|index| letters[index]);
        let after = letters.get(index + 1).is_some_and(char::is_ascii_lowercase);
        let begins = letter.is_ascii_uppercase()
            && before.is_some_and(|before| {
                before.is_ascii_lowercase() || (before.is_ascii_uppercase() && after)
            });
        if begins {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// Whether a test has the name of Mesos' test, alone or after words of the case's name.
fn is_named(test: &str, of: &str) -> bool {
    let (case, name) = of.split_once('.').unwrap();
    match test.strip_suffix(&snake(name)) {
        Some("") => true,
        Some(before) => format!("_{}_", snake(case)).contains(&format!("_{before}")),
        None => false,
    }
}

#[test]
fn every_test_of_mesos_is_here() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let rows = rows(&read(&root.join("CONFORMANCE.md")));
    let mut problems = Vec::new();

    let names = read(&root.join("tests/mesos/names.txt"));
    let names: BTreeSet<&str> =
        names.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let listed: BTreeSet<&str> =
        rows.iter().filter(|row| row.is_of_mesos()).map(|row| row.about.as_str()).collect();
    problems.extend(names.difference(&listed).map(|name| format!("{name} has no row")));
    problems.extend(listed.difference(&names).map(|name| format!("Mesos has no {name}")));

    let mut sources: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut shown: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut told: BTreeSet<&str> = BTreeSet::new();
    for row in &rows {
        let Row { about, file, test } = row;
        if !told.insert(about) {
            problems.push(format!("{about} has two rows"));
        }
        if !row.is_run() {
            if !about.contains(".DISABLED_") || test.is_empty() {
                problems.push(format!("{about} has to be run"));
            }
            continue;
        }
        let tests = sources.entry(file).or_insert_with(|| {
            let path = root.join(file);
            if path.is_file() { tests(&read(&path)) } else { Vec::new() }
        });
        if !tests.contains(test) {
            problems.push(format!("{about}: there is no test {test} in {file}"));
        }
        if !shown.insert((file, test)) {
            problems.push(format!("{test} in {file} has two rows"));
        }
        if row.is_of_mesos() && !is_named(test, about) {
            problems.push(format!("{about} is called {test}"));
        }
    }

    for path in files(&root.join("tests/mesos")) {
        if path.ends_with(SELF) {
            continue;
        }
        let file = path.strip_prefix(root).unwrap().to_str().unwrap();
        if !is_compiled(&path) {
            problems.push(format!("{file} is no module"));
        }
        for test in tests(&read(&path)) {
            if !shown.contains(&(file, test.as_str())) {
                problems.push(format!("{test} in {file} has no row"));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
