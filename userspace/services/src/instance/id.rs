//! Names of instances and of their tasks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::app::AppId;

/// An instance's name: `shop_cart.instance-<uuid>` for one of `/shop/cart`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InstanceId {
    app: AppId,
    uuid: Uuid,
}

/// A text that names no instance.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is not of the form <app id with _ for />.instance-<uuid>")]
pub struct NotAnInstance(String);

impl InstanceId {
    /// The instance of `app` with this unique number.
    pub fn new(app: AppId, uuid: Uuid) -> Self {
        Self { app, uuid }
    }

    /// The application it is an instance of.
    pub fn app(&self) -> &AppId {
        &self.app
    }

    /// The id of its task. An instance has one task in its life: what replaces it is
    /// another instance, so the incarnation, the number at the end, is always 1.
    pub fn task_id(&self) -> String {
        format!("{self}._app.1")
    }

    /// The instance whose task `task_id` is, when it is one that this framework makes.
    ///
    /// # Errors
    /// [`NotAnInstance`] when it is not.
    pub fn from_task_id(task_id: &str) -> Result<Self, NotAnInstance> {
        let instance =
            task_id.strip_suffix("._app.1").ok_or_else(|| NotAnInstance(task_id.to_owned()))?;
        instance.parse()
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.instance-{}", self.app.safe(), self.uuid)
    }
}

impl FromStr for InstanceId {
    type Err = NotAnInstance;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (safe, uuid) =
                text.rsplit_once(".instance-").filter(|(safe, _)| !safe.is_empty())?;
            Some(Self::new(AppId::from_safe(safe), uuid.parse().ok()?))
        };
        // Only the one way of writing it: two texts must not name one instance.
        parse().filter(|id| id.to_string() == text).ok_or_else(|| NotAnInstance(text.to_owned()))
    }
}

impl TryFrom<String> for InstanceId {
    type Error = NotAnInstance;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<InstanceId> for String {
    fn from(id: InstanceId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_id_agree() {
        let id = InstanceId::new(AppId::parse("/a/b.instance-c").unwrap(), Uuid::from_u128(7));
        assert_eq!(
            id.task_id(),
            "a_b.instance-c.instance-00000000-0000-0000-0000-000000000007._app.1"
        );
        assert_eq!(InstanceId::from_task_id(&id.task_id()).unwrap(), id);
        assert_eq!(id.app().as_str(), "/a/b.instance-c");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "a",
            "a.instance-x._app.1",
            "a.instance-00000000-0000-0000-0000-000000000007",
            "a.instance-00000000-0000-0000-0000-000000000007._app.2",
            "a.instance-00000000000000000000000000000007._app.1",
            "a__b.instance-00000000-0000-0000-0000-000000000007._app.1",
            ".instance-00000000-0000-0000-0000-000000000007._app.1",
        ] {
            assert!(InstanceId::from_task_id(text).is_err(), "{text}");
        }
    }
}
