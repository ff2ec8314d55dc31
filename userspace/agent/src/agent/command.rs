//! What a task's command asks for.

use muster_api::mesos::environment::variable;
use muster_api::mesos::secret::Type;
use muster_api::mesos::{CommandInfo, Environment, Secret as Info};
use muster_containerizer::{CommandSpec, Secret};

use super::spec::Invalid;

/// The command of `info`; `None` leaves it to the image. As in Mesos, a command without
/// a shell is an executable and its whole argument vector, the first of which is the
/// executable's name for itself.
pub(crate) fn command(field: &str, info: &CommandInfo) -> Result<Option<CommandSpec>, Invalid> {
    let value = info.value.as_deref().filter(|value| !value.is_empty());
    match (info.shell(), value) {
        (true, Some(value)) => Ok(Some(CommandSpec::Shell(value.to_owned()))),
        (true, None) => Err(Invalid::new(
            format!("{field}.value"),
            "is missing, which only a command with shell: false may do",
        )),
        (false, Some(value)) => {
            let arguments = info.arguments.iter().skip(1).cloned();
            Ok(Some(CommandSpec::Argv([value.to_owned()].into_iter().chain(arguments).collect())))
        }
        (false, None) => Ok(None),
    }
}

/// The variables of a command.
#[derive(Debug, Default)]
pub(crate) struct Variables {
    /// Those with open values.
    pub(crate) open: Vec<(String, String)>,
    /// Those with secret ones.
    pub(crate) secret: Vec<(String, Secret)>,
}

impl Variables {
    /// Whether one is called `name`.
    pub(crate) fn contains(&self, name: &str) -> bool {
        let mut names = self.open.iter().map(|(name, _)| name);
        names.any(|own| own == name) || self.secret.iter().any(|(own, _)| own == name)
    }
}

/// The variables of the command `field`, in order, the last of a name winning.
pub(crate) fn environment(
    field: &str,
    environment: Option<&Environment>,
) -> Result<Variables, Invalid> {
    let mut variables = Variables::default();
    for variable in environment.into_iter().flat_map(|environment| &environment.variables) {
        let name = &variable.name;
        let field = || format!("{field}.environment.variables[{name:?}]");
        let value = match (variable.r#type(), &variable.value, &variable.secret) {
            (variable::Type::Value, Some(value), None) => value.clone(),
            (variable::Type::Secret, None, Some(secret)) => reveal(&field(), secret)?,
            (variable::Type::Value, None, None) => {
                return Err(Invalid::new(field(), "has no value"));
            }
            _ => {
                let problem = "must have a value, or with type SECRET a secret";
                return Err(Invalid::new(field(), problem));
            }
        };
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(Invalid::new(field(), "cannot be set: empty name, '=' or a NUL byte"));
        }
        variables.open.retain(|(earlier, _)| earlier != name);
        variables.secret.retain(|(earlier, _)| earlier != name);
        if variable.secret.is_some() {
            variables.secret.push((name.clone(), Secret::new(value)));
        } else {
            variables.open.push((name.clone(), value));
        }
    }
    Ok(variables)
}

/// The text of a secret.
fn reveal(field: &str, secret: &Info) -> Result<String, Invalid> {
    let invalid = |problem: &str| Invalid::new(format!("{field}.secret"), problem.to_owned());
    match (secret.r#type(), &secret.value) {
        (Type::Value, Some(value)) => String::from_utf8(value.data.clone())
            .map_err(|_| invalid("is not UTF-8, which a variable has to be")),
        (Type::Reference, _) => Err(invalid("is a reference, and this agent has no secret store")),
        _ => Err(invalid("has no value")),
    }
}

#[cfg(test)]
mod tests {
    use muster_api::mesos::environment::Variable;
    use muster_api::mesos::secret::Value;

    use super::*;

    fn variable(name: &str, value: &str) -> Variable {
        Variable { name: name.into(), value: Some(value.into()), ..Default::default() }
    }

    #[test]
    fn the_last_value_of_a_variable_stands() {
        let variables = vec![variable("A", "1"), variable("B", "2"), variable("A", "3")];
        let read = environment("command", Some(&Environment { variables })).unwrap().open;
        assert_eq!(read, [("B", "2"), ("A", "3")].map(|(n, v)| (n.to_owned(), v.to_owned())));
        assert!(environment("command", None).unwrap().open.is_empty());
    }

    fn hidden(name: &str, secret: Info) -> Variable {
        let r#type = Some(variable::Type::Secret.into());
        Variable { name: name.into(), value: None, r#type, secret: Some(secret) }
    }

    fn secret(data: &[u8]) -> Info {
        let value = Some(Value { data: data.to_vec() });
        Info { r#type: Some(Type::Value.into()), value, reference: None }
    }

    #[test]
    fn secrets_are_kept_apart() {
        let variables =
            vec![variable("A", "1"), hidden("A", secret(b"hush")), hidden("B", secret(b"x"))];
        let read = environment("command", Some(&Environment { variables })).unwrap();
        let expected = [("A", "hush"), ("B", "x")]
            .map(|(name, text)| (name.to_owned(), Secret::new(text.into())));
        assert_eq!((read.open, read.secret), (Vec::new(), expected.into()));
    }

    #[test]
    fn variables_that_cannot_be_set_are_refused_by_name() {
        let cases = [
            (variable("", "1"), "cannot be set"),
            (variable("A=B", "1"), "cannot be set"),
            (variable("A", "\0"), "cannot be set"),
            (Variable { value: None, ..variable("A", "") }, "has no value"),
            (
                Variable { secret: Some(secret(b"x")), ..variable("A", "1") },
                "must have a value, or",
            ),
            (hidden("A", Info::default()), ".secret has no value"),
            (hidden("A", secret(b"\xff")), ".secret is not UTF-8"),
            (hidden("A", secret(b"\0")), "cannot be set"),
            (
                hidden("A", Info { r#type: Some(Type::Reference.into()), ..Info::default() }),
                ".secret is a reference, and this agent has no secret store",
            ),
        ];
        for (variable, expected) in cases {
            let name = variable.name.clone();
            let read = environment("command", Some(&Environment { variables: vec![variable] }));
            let problem = read.unwrap_err().to_string();
            let space = if expected.starts_with('.') { "" } else { " " };
            let field = format!("command.environment.variables[{name:?}]{space}{expected}");
            assert!(problem.starts_with(&field), "{problem}");
        }
    }
}
