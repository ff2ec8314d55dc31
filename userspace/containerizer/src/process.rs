//! What to run: the container's specification over the image's config.

use std::path::PathBuf;

use oci_spec::image::ImageConfiguration;
use serde::{Deserialize, Serialize};

use crate::image::ImageError;
use crate::spec::SANDBOX;
use crate::{CommandSpec, ContainerSpec};

/// Docker's `PATH` for images that set none.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command with all that it inherits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    /// The program and its arguments, never empty.
    pub(crate) argv: Vec<String>,
    /// Each variable once.
    pub(crate) environment: Vec<(String, String)>,
    /// The working directory inside; made if missing.
    pub(crate) directory: PathBuf,
    /// `user[:group]`, names or numbers; empty is root.
    pub(crate) user: String,
}

impl Process {
    /// Docker's rules: a command given replaces entrypoint and cmd, arguments given replace
    /// cmd; variables given go over the image's, as does the user. Mesos' rule: the working
    /// directory is the image's, or else the sandbox.
    pub(crate) fn resolve(
        spec: &ContainerSpec,
        image: Option<&ImageConfiguration>,
    ) -> Result<Self, ImageError> {
        let config = image.and_then(|image| image.config().as_ref());
        let list = |list: Option<&Vec<String>>| list.cloned().unwrap_or_default();
        let argv = if let Some(command) = &spec.command {
            command.argv()
        } else {
            let mut argv = list(config.and_then(|config| config.entrypoint().as_ref()));
            if spec.args.is_empty() {
                argv.extend(list(config.and_then(|config| config.cmd().as_ref())));
            } else {
                argv.extend(spec.args.iter().cloned());
            }
            argv
        };
        if argv.first().is_none_or(String::is_empty) {
            let image = spec.image.clone().unwrap_or_default();
            return Err(ImageError::NoCommand { image });
        }
        let working_dir = config.and_then(|config| config.working_dir().as_deref());
        let directory = match (image, working_dir.filter(|directory| !directory.is_empty())) {
            (None, _) => spec.sandbox.clone(),
            (Some(_), None) => SANDBOX.into(),
            // A relative one is relative to the root.
            (Some(_), Some(directory)) => PathBuf::from("/").join(directory),
        };
        let user = spec.user.as_deref().or(config.and_then(|config| config.user().as_deref()));
        let sandbox = match image {
            Some(_) => SANDBOX.to_owned(),
            None => spec.sandbox.to_string_lossy().into_owned(),
        };
        let mut environment =
            vec![("PATH".to_owned(), PATH.to_owned()), ("MESOS_SANDBOX".to_owned(), sandbox)];
        for line in list(config.and_then(|config| config.env().as_ref())) {
            let (name, value) = line.split_once('=').unwrap_or((&line, ""));
            set(&mut environment, name, value);
        }
        for (name, value) in &spec.environment {
            set(&mut environment, name, value);
        }
        Ok(Self { argv, environment, directory, user: user.unwrap_or_default().to_owned() })
    }

    /// Another command in this one's surroundings.
    pub(crate) fn with_command(&self, command: &CommandSpec) -> Self {
        Self { argv: command.argv(), ..self.clone() }
    }
}

fn set(environment: &mut Vec<(String, String)>, name: &str, value: &str) {
    match environment.iter_mut().find(|(known, _)| known == name) {
        Some((_, known)) => value.clone_into(known),
        None => environment.push((name.to_owned(), value.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(config: &str) -> ImageConfiguration {
        let text = format!(
            r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[]}},
                "config":{config}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn spec() -> ContainerSpec {
        ContainerSpec {
            id: "c".into(),
            image: Some("i".into()),
            command: None,
            args: Vec::new(),
            environment: Vec::new(),
            user: None,
            sandbox: "/work/sandbox".into(),
            hostname: None,
            cpus_milli: 1,
            mem_bytes: 1,
        }
    }

    fn argv(spec: &ContainerSpec, config: &str) -> Vec<String> {
        Process::resolve(spec, Some(&image(config))).unwrap().argv
    }

    #[test]
    fn entrypoint_and_cmd_by_dockers_table() {
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
        let error = Process::resolve(&spec(), Some(&image("{}"))).unwrap_err().to_string();
        assert!(error.starts_with("image i: neither Entrypoint nor Cmd"), "{error}");
    }

    #[test]
    fn later_variables_win_and_stay_single() {
        let mut spec = spec();
        spec.environment = vec![("B".into(), "3".into()), ("C".into(), "=".into())];
        let config = image(r#"{"Cmd":["c"],"Env":["A=1","B=2","PATH=/p"]}"#);
        let process = Process::resolve(&spec, Some(&config)).unwrap();
        let expected = [
            ("PATH", "/p"),
            ("MESOS_SANDBOX", "/mnt/mesos/sandbox"),
            ("A", "1"),
            ("B", "3"),
            ("C", "="),
        ];
        let expected: Vec<_> =
            expected.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        assert_eq!(process.environment, expected);
    }

    #[test]
    fn user_and_directory_fall_back() {
        let config = image(r#"{"Cmd":["c"],"User":"nobody","WorkingDir":"srv"}"#);
        let process = Process::resolve(&spec(), Some(&config)).unwrap();
        assert_eq!((process.user.as_str(), process.directory.to_str()), ("nobody", Some("/srv")));
        let spec = ContainerSpec { user: Some("1:2".into()), ..spec() };
        let process = Process::resolve(&spec, Some(&image(r#"{"Cmd":["c"]}"#))).unwrap();
        assert_eq!((process.user.as_str(), process.directory.to_str()), ("1:2", Some(SANDBOX)));
        let host = ContainerSpec { command: Some(CommandSpec::Argv(vec!["c".into()])), ..spec };
        let process = Process::resolve(&host, None).unwrap();
        assert_eq!(process.directory, host.sandbox);
    }
}
