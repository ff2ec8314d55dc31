//! `parameters` of Mesos' `DockerInfo`: flags of `docker run`.

mod flags;
mod mount;
mod values;

use std::fmt;

use bollard::models::ContainerCreateBody;

/// Flags of `docker run`, each a name without dashes and a value; checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters(Vec<(String, String)>);

/// A flag that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidParameter {
    /// Its place in the list.
    pub index: usize,
    /// What is wrong: the key or its value, in words that name it.
    pub problem: String,
}

impl fmt::Display for InvalidParameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.index, self.problem)
    }
}

impl Parameters {
    /// Checks a list of flags.
    ///
    /// # Errors
    /// The first that is unknown, belongs to the agent, or has a value that makes no sense.
    pub fn new(list: Vec<(String, String)>) -> Result<Self, InvalidParameter> {
        let mut body = ContainerCreateBody::default();
        for (index, (key, value)) in list.iter().enumerate() {
            flags::apply(&mut body, key, value)
                .map_err(|problem| InvalidParameter { index, problem })?;
        }
        Ok(Self(list))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes them into a request, over what is there.
    pub(crate) fn apply(&self, body: &mut ContainerCreateBody) {
        for (key, value) in &self.0 {
            // All have been applied once, to an empty request.
            let _ = flags::apply(body, key, value);
        }
    }
}

#[cfg(test)]
mod tests;
