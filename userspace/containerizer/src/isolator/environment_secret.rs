//! `environment_secret`: variables whose values are secrets.

use super::{Draft, Isolator, Request};
use crate::Error;

/// The isolator.
pub(super) struct EnvironmentSecret;

impl Isolator for EnvironmentSecret {
    fn prepare(&self, request: &Request<'_>, draft: &mut Draft) -> Result<(), Error> {
        let mut secrets = request.spec.secrets.iter();
        secrets.try_for_each(|(name, secret)| draft.variable(name, secret.reveal()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isolator::testing::{plan, spec};
    use crate::{ContainerSpec, Secret};

    #[test]
    fn secrets_are_variables_and_not_shown() {
        let spec =
            ContainerSpec { secrets: vec![("TOKEN".into(), Secret::new("hush".into()))], ..spec() };
        assert!(!format!("{spec:?}").contains("hush"));
        let plan = plan(&[("environment_secret", &EnvironmentSecret)], &spec, None).unwrap();
        assert!(plan.process.environment.contains(&("TOKEN".into(), "hush".into())));
    }
}
