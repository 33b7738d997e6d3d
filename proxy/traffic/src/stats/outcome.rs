//! How a request ended.

/// Why a request failed at the version that it was sent to. Says nothing of failures that are the client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// The version answered with a status of 500 or above.
    Status,
    /// No endpoint is known for the version.
    NoEndpoint,
    /// The connection was refused or could not be made.
    Connect,
    /// The connection was not made in time.
    ConnectTimeout,
    /// The connection ended before the response head came.
    Reset,
    /// The answer was no valid HTTP.
    Protocol,
    /// The response head did not come in time.
    ResponseTimeout,
    /// The response ended before its body was whole.
    BodyCut,
    /// Nothing moved on the response for longer than the idle timeout.
    IdleTimeout,
    /// The version answered with a gRPC status that stands for a failure of the server.
    Grpc,
    /// The version had as many connections or requests under way as its limits allow.
    Overload,
}

impl Failure {
    /// Every reason, in the order of [`Failure`].
    pub const ALL: [Self; 11] = [
        Self::Status,
        Self::NoEndpoint,
        Self::Connect,
        Self::ConnectTimeout,
        Self::Reset,
        Self::Protocol,
        Self::ResponseTimeout,
        Self::BodyCut,
        Self::IdleTimeout,
        Self::Grpc,
        Self::Overload,
    ];

    /// The reason as metric labels, response headers and messages spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::NoEndpoint => "no_endpoint",
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::Reset => "reset",
            Self::Protocol => "protocol",
            Self::ResponseTimeout => "response_timeout",
            Self::BodyCut => "body_cut",
            Self::IdleTimeout => "idle_timeout",
            Self::Grpc => "grpc",
            Self::Overload => "overload",
        }
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The version answered in full with this status; 500 and above is a failure.
    Answered(u16),
    /// The version failed; the client got this status, or the status that had been sent before the body broke off.
    Failed {
        /// What the client saw.
        status: u16,
        /// What went wrong.
        reason: Failure,
    },
    /// The client went away first. Counted under status 499, and never against the version.
    Cancelled,
}

impl Outcome {
    /// Whether it counts against the version.
    pub(crate) const fn is_failure(self) -> bool {
        match self {
            Self::Answered(status) => status >= 500,
            Self::Failed { .. } => true,
            Self::Cancelled => false,
        }
    }
}

/// The status that a cancelled request is counted under, as nginx made it common.
pub const CLIENT_CLOSED_REQUEST: u16 = 499;
