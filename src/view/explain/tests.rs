use super::explain;
use crate::view::fixtures;
#[test]
fn look() {
    for (name, view) in [("healthy", fixtures::healthy()), ("progressing",fixtures::progressing()), ("low_traffic",fixtures::low_traffic()), ("hold",fixtures::hold()), ("rolled_back",fixtures::rolled_back()), ("promoted",fixtures::promoted())] {
        std::fs::write(format!("/tmp/t-terminal-pkg/explain-{name}.txt"), explain(&view)).unwrap();
    }
}
