//! Numbers of what the allocator knows: small, and used again when their owners are gone.

/// A number with a type of its own.
macro_rules! id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name(u32);

        impl $name {
            pub(crate) fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl From<usize> for $name {
            fn from(index: usize) -> Self {
                // Memory ends long before.
                Self(u32::try_from(index).unwrap_or(u32::MAX))
            }
        }
    };
}

id!(
    /// An agent.
    AgentId
);
id!(
    /// A framework.
    FrameworkId
);
id!(
    /// A role.
    RoleId
);
id!(
    /// A client of a tree: a role, or a framework in a role.
    ClientId
);
