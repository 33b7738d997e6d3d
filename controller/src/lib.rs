//! The control plane: documents in, decisions, a route table out. Never on a request's path.
