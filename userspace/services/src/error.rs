//! What can go wrong with this crate as a whole.

/// The services cannot start, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] muster_store::Error),
    /// A row was written by a later version of Muster.
    #[error(
        "{table}/{key}: written in format {found}, this version reads up to {supported}; run the newer version"
    )]
    NewerRow {
        /// The table.
        table: &'static str,
        /// The row.
        key: String,
        /// The row's format number.
        found: u64,
        /// The highest format number known here.
        supported: u64,
    },
    /// A row does not hold what it should.
    #[error("{table}/{key}: damaged ({reason}); restore the store from a backup")]
    DamagedRow {
        /// The table.
        table: &'static str,
        /// The row.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no tokio runtime to run in.
    #[error("the services need a tokio runtime: {0}")]
    NoRuntime(#[from] tokio::runtime::TryCurrentError),
    /// The system has no random numbers.
    #[error("getrandom: {0}")]
    Random(#[from] rand::rngs::SysError),
}
