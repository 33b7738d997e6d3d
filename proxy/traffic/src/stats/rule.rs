//! What counts as a failure.

use super::{CLIENT_CLOSED_REQUEST, GrpcCode, Outcome, statuses};
use std::fmt;

const WORDS: usize = statuses::CELLS.div_ceil(64);

/// What counts as a failure of a version: a set of statuses and one of gRPC codes.
///
/// An answer that came whole is judged by its status, and a gRPC call that was answered with 200 by its code alone. A
/// request that got no whole answer is a failure under every rule, whatever status the client saw. What the client
/// gave up is a failure under none: status 499 and the code CANCELLED are in no rule, and neither is the code OK.
///
/// ```
/// use traffic::{Failure, FailureRule, Outcome};
///
/// let rule = FailureRule::BROKEN.with_statuses(429, 429);
/// assert!(rule.is_failure(Outcome::Answered(429)));
/// assert!(!rule.is_failure(Outcome::Answered(503)));
/// assert!(rule.is_failure(Outcome::Failed { status: 503, reason: Failure::NoEndpoint }));
/// assert_eq!(rule.to_string(), "status 429");
/// assert_eq!(FailureRule::default(), FailureRule::DEFAULT);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FailureRule {
    /// A bit for each cell of [`statuses`].
    statuses: [u64; WORDS],
    /// A bit for each number of a [`GrpcCode`].
    codes: u32,
}

impl Default for FailureRule {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl FailureRule {
    /// Nothing but requests without a whole answer.
    pub const BROKEN: Self = Self {
        statuses: [0; WORDS],
        codes: 0,
    };

    /// What counts unless somebody says otherwise, and what the proxy itself goes by: statuses of 500 and above, and the
    /// codes that `google.rpc.Code` maps to such statuses.
    pub const DEFAULT: Self = Self::BROKEN
        .with_statuses(500, u16::MAX)
        .with_code(GrpcCode::Unknown)
        .with_code(GrpcCode::DeadlineExceeded)
        .with_code(GrpcCode::Unimplemented)
        .with_code(GrpcCode::Internal)
        .with_code(GrpcCode::Unavailable)
        .with_code(GrpcCode::DataLoss);

    /// Answers that say that the client is at fault: statuses of 400 to 498, and the codes that `google.rpc.Code` maps to
    /// such statuses.
    const CLIENT_ERRORS: Self = Self::BROKEN
        .with_statuses(400, 498)
        .with_code(GrpcCode::InvalidArgument)
        .with_code(GrpcCode::NotFound)
        .with_code(GrpcCode::AlreadyExists)
        .with_code(GrpcCode::PermissionDenied)
        .with_code(GrpcCode::ResourceExhausted)
        .with_code(GrpcCode::FailedPrecondition)
        .with_code(GrpcCode::Aborted)
        .with_code(GrpcCode::OutOfRange)
        .with_code(GrpcCode::Unauthenticated);

    /// The rule with the statuses `first` to `last` too, 499 excepted. Those above 599 are not told apart: a `last`
    /// above 599 stands for all of them.
    pub const fn with_statuses(mut self, first: u16, last: u16) -> Self {
        let mut cell = 0;
        while cell < statuses::CELLS {
            let status = statuses::status_of(cell);
            let is_within = first <= status && status <= last;
            let is_beyond = status == statuses::OTHER && last >= 600;
            if (is_within || is_beyond) && status != CLIENT_CLOSED_REQUEST {
                self.statuses[cell / 64] |= 1 << (cell % 64);
            }
            cell += 1;
        }
        self
    }

    /// The rule with `code` too, unless that is OK or CANCELLED.
    pub const fn with_code(mut self, code: GrpcCode) -> Self {
        if !matches!(code, GrpcCode::Ok | GrpcCode::Cancelled) {
            self.codes |= 1 << code.number();
        }
        self
    }

    /// The whole answers that say that the client is at fault and are no failures by this rule, as a rule of their own.
    ///
    /// ```
    /// use traffic::FailureRule;
    /// let rule = FailureRule::BROKEN.with_statuses(404, 404);
    /// assert!(rule.client_errors().has_status(403));
    /// assert!(!rule.client_errors().has_status(404) && !rule.client_errors().has_status(500));
    /// ```
    pub fn client_errors(&self) -> Self {
        let mut others = Self::CLIENT_ERRORS;
        for (word, failures) in others.statuses.iter_mut().zip(self.statuses) {
            *word &= !failures;
        }
        others.codes &= !self.codes;
        others
    }

    /// Whether a whole answer with `status` is a failure.
    pub fn has_status(&self, status: u16) -> bool {
        self.has_cell(statuses::cell_of(status))
    }

    /// Whether a call that ended with `code` is a failure.
    pub fn has_code(&self, code: GrpcCode) -> bool {
        self.codes & (1 << code.number()) != 0
    }

    /// Whether a request that ended so is a failure.
    pub fn is_failure(&self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Answered(status) => self.has_status(status),
            Outcome::Called(code) => self.has_code(code),
            Outcome::Failed { .. } => true,
            Outcome::Cancelled => false,
        }
    }

    /// The statuses that are failures as ranges, ascending, both ends included. One that ends with 999 holds all above
    /// 599.
    pub fn statuses(&self) -> Vec<(u16, u16)> {
        let mut ranges: Vec<(u16, u16)> = Vec::new();
        let mut is_open = false;
        for cell in 0..statuses::CELLS {
            let status = statuses::status_of(cell);
            match (self.has_cell(cell), ranges.last_mut()) {
                (true, Some((_, last))) if is_open => *last = status,
                (true, _) => ranges.push((status, status)),
                (false, _) => {}
            }
            is_open = self.has_cell(cell);
        }
        ranges
    }

    /// The gRPC codes that are failures, by number.
    pub fn codes(&self) -> impl Iterator<Item = GrpcCode> {
        GrpcCode::ALL
            .into_iter()
            .filter(|code| self.has_code(*code))
    }

    /// Whether the status of `cell` is a failure.
    pub(super) fn has_cell(&self, cell: usize) -> bool {
        self.statuses[cell / 64] & (1 << (cell % 64)) != 0
    }
}

impl fmt::Display for FailureRule {
    /// What may be listed: `status 404, 429, 5xx, gRPC code NOT_FOUND`; empty for [`FailureRule::BROKEN`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statuses = self.statuses();
        let mut comma = "";
        for (i, range) in statuses.iter().enumerate() {
            let name = if i == 0 { "status " } else { "" };
            write!(f, "{comma}{name}{}", Range(*range))?;
            comma = ", ";
        }
        for (i, code) in self.codes().enumerate() {
            let name = if i == 0 { "gRPC code " } else { "" };
            write!(f, "{comma}{name}{}", code.as_str())?;
            comma = ", ";
        }
        Ok(())
    }
}

/// A range of statuses as a person writes it.
struct Range((u16, u16));

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            (first, last) if first == last => write!(f, "{first}"),
            (500, statuses::OTHER) => f.write_str("5xx"),
            // 499 is in no rule.
            (400, 498) => f.write_str("4xx"),
            (first, last) => write!(f, "{first}-{last}"),
        }
    }
}

#[cfg(test)]
mod tests;
