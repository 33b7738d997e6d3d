//! What counts as a failure of a version.

mod grpc_code;
mod status_range;

pub use grpc_code::GrpcCode;
pub use status_range::StatusRange;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What counts as a failure. A request that got no whole answer always does (a transport error, a timeout), and one that
/// the client gave up never does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failures {
    /// The statuses that are failures: a status (`429`), a class (`5xx`, which includes all above 599) or a range
    /// (`400-409`). An empty list: none. 499, which stands for a client that went away, never counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = ["5xx"]))]
    pub statuses: Option<Vec<StatusRange>>,
    /// The gRPC codes that are failures, by name or number. A gRPC call that was answered with status 200 is judged by its
    /// code alone, any other by its status. OK and CANCELLED never count.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = ["UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"]))]
    pub grpc_codes: Option<Vec<GrpcCode>>,
}
