//! What a task's command asks for.

use muster_api::mesos::environment::variable;
use muster_api::mesos::{CommandInfo, Environment};
use muster_containerizer::CommandSpec;

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

/// The variables of a task, in order, the last of a name winning.
pub(crate) fn environment(
    environment: Option<&Environment>,
) -> Result<Vec<(String, String)>, Invalid> {
    let mut variables: Vec<(String, String)> = Vec::new();
    for variable in environment.into_iter().flat_map(|environment| &environment.variables) {
        let name = &variable.name;
        let field = || format!("command.environment.variables[{name:?}]");
        if variable.r#type() != variable::Type::Value || variable.secret.is_some() {
            return Err(Invalid::new(field(), "is a secret, which is not supported"));
        }
        let Some(value) = &variable.value else {
            return Err(Invalid::new(field(), "has no value"));
        };
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(Invalid::new(field(), "cannot be set: empty name, '=' or a NUL byte"));
        }
        variables.retain(|(earlier, _)| earlier != name);
        variables.push((name.clone(), value.clone()));
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use muster_api::mesos::Secret;
    use muster_api::mesos::environment::Variable;

    use super::*;

    fn variable(name: &str, value: &str) -> Variable {
        Variable { name: name.into(), value: Some(value.into()), ..Default::default() }
    }

    #[test]
    fn the_last_value_of_a_variable_stands() {
        let variables = vec![variable("A", "1"), variable("B", "2"), variable("A", "3")];
        let read = environment(Some(&Environment { variables })).unwrap();
        assert_eq!(read, [("B", "2"), ("A", "3")].map(|(n, v)| (n.to_owned(), v.to_owned())));
        assert!(environment(None).unwrap().is_empty());
    }

    #[test]
    fn variables_that_cannot_be_set_are_refused_by_name() {
        let cases = [
            (variable("", "1"), "cannot be set"),
            (variable("A=B", "1"), "cannot be set"),
            (variable("A", "\0"), "cannot be set"),
            (Variable { value: None, ..variable("A", "") }, "has no value"),
            (Variable { secret: Some(Secret::default()), ..variable("A", "1") }, "is a secret"),
        ];
        for (variable, expected) in cases {
            let name = variable.name.clone();
            let read = environment(Some(&Environment { variables: vec![variable] }));
            let problem = read.unwrap_err().to_string();
            let field = format!("command.environment.variables[{name:?}] {expected}");
            assert!(problem.starts_with(&field), "{problem}");
        }
    }
}
