//! What can be wrong with a message from outside.

/// Why a message cannot be read, or not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is no JSON.
    #[error("it is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The bytes are no protobuf message.
    #[error("it is no protobuf message: {0}")]
    Protobuf(#[from] prost::DecodeError),
    /// The bytes end within a value.
    #[error("it is no protobuf message: it ends within a value")]
    Truncated,
    /// A field holds what it cannot.
    #[error("field {path}: {problem}")]
    Field {
        /// The field, from the outermost message: `update_weights.weight_infos[0].weight`.
        path: String,
        /// What is wrong, and what is wanted.
        problem: String,
    },
    /// A required field is not set.
    #[error("field {0} is required and not set")]
    Missing(String),
    /// The message is not an object.
    #[error("a JSON object is wanted, not {0}")]
    NoObject(&'static str),
    /// The messages are not in an array.
    #[error("a JSON array is wanted")]
    NoArray,
    /// A type of message that is not known here.
    #[error("there is no layout of {0}")]
    Unknown(String),
}

impl Error {
    /// The same of a message in an array.
    pub(crate) fn inside(self, index: usize) -> Self {
        let place = format!("[{index}]");
        match self {
            Self::Field { path, problem } => {
                Self::Field { path: format!("{place}.{path}"), problem }
            }
            Self::Missing(path) => Self::Missing(format!("{place}.{path}")),
            Self::NoObject(given) => {
                Self::Field { path: place, problem: format!("an object is wanted, not {given}") }
            }
            other => other,
        }
    }
}
