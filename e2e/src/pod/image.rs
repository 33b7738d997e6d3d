//! What images are here, where there are none: their name alone says what is in them.

/// What is found under an image's name.
#[derive(Clone, Debug, PartialEq)]
pub enum Image {
    /// The tag is `missing`: it cannot be pulled.
    Missing,
    /// A `rollouts-demo` or `demo` of whatever registry: the demo app, whose version is the tag.
    App {
        /// The version's name.
        version: String,
    },
    /// Every other one can be pulled. What runs is the container's command, and without one nothing: it serves nothing, and
    /// ends when it is told to.
    Other,
}

impl Image {
    /// What the reference `name` leads to.
    pub fn of(name: &str) -> Self {
        let name = name.split('@').next().unwrap_or_default();
        let path = name.rsplit('/').next().unwrap_or_default();
        let (repository, tag) = path.split_once(':').unwrap_or((path, "latest"));
        match (repository, tag) {
            (_, "missing") => Self::Missing,
            ("demo" | "rollouts-demo", version) => Self::App {
                version: version.to_owned(),
            },
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Image;

    #[test]
    fn names_say_what_is_in_them() {
        let app = |version: &str| Image::App {
            version: version.to_owned(),
        };
        let check = |name: &str, expected: Image| assert_eq!(Image::of(name), expected, "{name}");
        check("sluice/demo:blue", app("blue"));
        check("argoproj/rollouts-demo:green", app("green"));
        check("localhost:5000/sluice/demo", app("latest"));
        check("sluice/demo:2@sha256:00", app("2"));
        check("sluice/demo:missing", Image::Missing);
        check("nginx:missing", Image::Missing);
        check("nginx:1.19-alpine", Image::Other);
        check("missing:1", Image::Other);
        check("demo-store:1", Image::Other);
    }
}
