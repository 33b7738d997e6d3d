//! What a type of Go looks like in JSON, as data.

/// A struct: its fields in the order in which they are declared, and so written.
pub(super) type Fields = &'static [Field];

/// One field of a struct.
#[derive(Debug)]
pub(super) struct Field {
    /// Its name in JSON.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) presence: Presence,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Kind {
    Text,
    Bool,
    Int32,
    Int64,
    /// An amount of a resource; see [`super::quantity`].
    Quantity,
    /// An `i32` or a text.
    IntOrString,
    /// An RFC 3339 time, written in UTC with whole seconds.
    Time,
    /// Any JSON.
    Raw,
    Struct(&'static Fields),
    List(&'static Self),
    /// By keys that are texts.
    Map(&'static Self),
}

/// What is written for a field that is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// The zero value: `""`, `0`, `false`, a struct of zero values, null for a list or a mapping.
    Always,
    /// Nothing; and nothing either when the zero value is there.
    NonZero,
    /// Nothing; but the zero value when that is there.
    Optional,
    /// Null; but the zero value when that is there.
    Nullable,
}

/// A field without `omitempty`, or one for which Go has no empty value.
pub(super) const fn always(name: &'static str, kind: Kind) -> Field {
    field(name, kind, Presence::Always)
}

/// A field with `omitempty`.
pub(super) const fn nonzero(name: &'static str, kind: Kind) -> Field {
    field(name, kind, Presence::NonZero)
}

/// A pointer with `omitempty`.
pub(super) const fn optional(name: &'static str, kind: Kind) -> Field {
    field(name, kind, Presence::Optional)
}

/// A pointer without `omitempty`.
pub(super) const fn nullable(name: &'static str, kind: Kind) -> Field {
    field(name, kind, Presence::Nullable)
}

const fn field(name: &'static str, kind: Kind, presence: Presence) -> Field {
    Field {
        name,
        kind,
        presence,
    }
}
