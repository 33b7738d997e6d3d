use crate::view::{Live, Palette, fixtures};
use ratatui::{Terminal, backend::TestBackend};
#[test]
fn look() {
    for (w,h) in [(80,24),(110,36),(48,20),(30,10),(10,3)] {
    for (name,view) in [("healthy", fixtures::healthy()), ("progressing",fixtures::progressing()), ("hold",fixtures::hold()), ("rolled_back",fixtures::rolled_back())] {
        let mut t = Terminal::new(TestBackend::new(w,h)).unwrap();
        let caption = ["demo: shipped v2, which works as well as v1".to_string(), "users: 12,345 answered, 14 failed".into()];
        t.draw(|f| f.render_widget(&Live{view:&view,palette:Palette::PLAIN,caption:&caption,notice:None}, f.area())).unwrap();
        std::fs::write(format!("/tmp/t-terminal-pkg/live-{name}-{w}x{h}.txt"), t.backend().to_string()).unwrap();
    }}
}
