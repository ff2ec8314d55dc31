//! `docker/runtime`: what an image's config says about running it.
//!
//! Docker's rules: a command given replaces entrypoint and cmd, arguments given replace cmd;
//! variables given go over the image's, as does the user. Mesos' rule: the working directory
//! is the image's, or else the sandbox.

use std::path::Path;

use crate::Error;
use crate::isolator::{Draft, Isolator, Request};

/// The isolator.
pub(in crate::isolator) struct Runtime;

impl Isolator for Runtime {
    fn prepare(&self, request: &Request<'_>, draft: &mut Draft) -> Result<(), Error> {
        let config = request.image.and_then(|image| image.config.config().as_ref());
        let Some(config) = config else { return Ok(()) };
        let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
        let mut argv = list(config.entrypoint());
        if request.spec.args.is_empty() {
            argv.extend(list(config.cmd()));
        } else {
            argv.extend(request.spec.args.iter().cloned());
        }
        draft.argv(argv)?;
        for line in list(config.env()) {
            let (name, value) = line.split_once('=').unwrap_or((&line, ""));
            draft.image_variable(name, value);
        }
        if let Some(user) = config.user().as_deref().filter(|user| !user.is_empty()) {
            draft.user(user)?;
        }
        match config.working_dir().as_deref().filter(|directory| !directory.is_empty()) {
            // A relative one is relative to the root.
            Some(directory) => draft.directory(Path::new("/").join(directory)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isolator::testing;
    use crate::launch::plan::Process;
    use crate::spec::SANDBOX;
    use crate::{CommandSpec, ContainerSpec};

    fn spec() -> ContainerSpec {
        ContainerSpec { image: Some("i".into()), command: None, ..testing::spec() }
    }

    fn process(spec: &ContainerSpec, config: &str) -> Result<Process, Error> {
        let image = testing::image(config);
        let plan = testing::plan(&[("docker/runtime", &Runtime)], spec, Some(&image))?;
        Ok(plan.process)
    }

    #[test]
    fn entrypoint_and_cmd_by_dockers_table() {
        let argv = |spec: &ContainerSpec, config| process(spec, config).unwrap().argv;
        let both = r#"{"Entrypoint":["/e","1"],"Cmd":["c"]}"#;
        assert_eq!(argv(&spec(), both), ["/e", "1", "c"]);
        assert_eq!(argv(&spec(), r#"{"Cmd":["c","d"]}"#), ["c", "d"]);
        assert_eq!(argv(&spec(), r#"{"Entrypoint":["/e"]}"#), ["/e"]);
        let args = ContainerSpec { args: vec!["x".into()], ..spec() };
        assert_eq!(argv(&args, both), ["/e", "1", "x"]);
        let command = ContainerSpec { command: Some(CommandSpec::Shell("l".into())), ..spec() };
        assert_eq!(argv(&command, both), ["/bin/sh", "-c", "l"]);
    }

    #[test]
    fn nothing_to_run_is_an_error_with_the_images_name() {
        let error = process(&spec(), "{}").unwrap_err().to_string();
        assert!(error.starts_with("image i: neither Entrypoint nor Cmd"), "{error}");
    }

    #[test]
    fn the_images_variables_go_over_the_usual_ones() {
        let config = r#"{"Cmd":["c"],"Env":["A=1","B","PATH=/p"]}"#;
        let environment = process(&spec(), config).unwrap().environment;
        let expected = [("PATH", "/p"), ("MESOS_SANDBOX", SANDBOX), ("A", "1"), ("B", "")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(environment, expected);
    }

    #[test]
    fn user_and_directory_fall_back() {
        let found =
            process(&spec(), r#"{"Cmd":["c"],"User":"nobody","WorkingDir":"srv"}"#).unwrap();
        assert_eq!((found.user.as_str(), found.directory.to_str()), ("nobody", Some("/srv")));
        let own = ContainerSpec { user: Some("1:2".into()), ..spec() };
        let found = process(&own, r#"{"Cmd":["c"],"User":"nobody"}"#).unwrap();
        assert_eq!((found.user.as_str(), found.directory.to_str()), ("1:2", Some(SANDBOX)));
    }
}
