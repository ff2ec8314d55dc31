//! Putting reservations on and taking them off.

use crate::{Problem, Reservation, Resource, Resources, role};

impl Resource {
    /// The same with a reservation on top of those it has.
    ///
    /// # Errors
    /// [`Problem::Role`] if it is for everybody; [`Problem::Contradiction`] if it does not
    /// refine the reservation below it.
    pub fn with_reservation(&self, reservation: Reservation) -> Result<Self, Problem> {
        let role = &reservation.role;
        role::validate(role)?;
        if role == "*" {
            let reason = "nothing can be reserved for everybody";
            return Err(Problem::Role { role: role.to_string(), reason });
        }
        if let Some(below) = self.reservation_role() {
            if !role::is_strict_subrole_of(role, below) {
                let problem = format!("{role:?} is not a subrole of {below:?}, which it refines");
                return Err(Problem::Contradiction(problem));
            }
            if reservation.kind == crate::ReservationKind::Static {
                return Err(Problem::Contradiction("a refinement cannot be STATIC".to_owned()));
            }
        }
        Ok(self.map_details(|details| details.reservations.push(reservation)))
    }

    /// The same without the last reservation; `None` if there is none.
    pub fn without_reservation(&self) -> Option<Self> {
        self.is_reserved().then(|| {
            self.map_details(|details| {
                details.reservations.pop();
            })
        })
    }
}

impl Resources {
    /// The same with a reservation on top of each resource's.
    ///
    /// # Errors
    /// Those of [`Resource::with_reservation`].
    pub fn push_reservation(&self, reservation: &Reservation) -> Result<Self, Problem> {
        self.iter().map(|resource| resource.with_reservation(reservation.clone())).collect()
    }

    /// The same without each resource's last reservation; `None` if one has none.
    pub fn pop_reservation(&self) -> Option<Self> {
        self.iter().map(Resource::without_reservation).collect()
    }

    /// What two collections, equal but for reservations, were before these went different
    /// ways: with the reservations that both begin with.
    #[must_use]
    pub fn reservation_ancestor(&self, other: &Self) -> Self {
        let stack = |resources: &Self| {
            resources.iter().next().map(|r| r.details().reservations.clone()).unwrap_or_default()
        };
        let common: Vec<Reservation> = stack(self)
            .into_iter()
            .zip(stack(other))
            .take_while(|(own, other)| own == other)
            .map(|(own, _)| own)
            .collect();
        self.iter()
            .map(|resource| {
                resource.map_details(|details| details.reservations.clone_from(&common))
            })
            .collect()
    }
}
