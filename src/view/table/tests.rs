use super::list;
use crate::view::fixtures::{healthy, progressing, rolled_back};

#[test]
fn rollouts_are_listed_in_columns() {
    let other = crate::api::RolloutView {
        name: "a-longer-name".into(),
        ..progressing()
    };
    let expected = "\
NAMESPACE  NAME           PHASE        WEIGHT  REQ/S  FAILED  MESSAGE
default    checkout       Healthy      -       400    0.1%
default    a-longer-name  Progressing  5%      400    0%      waiting for all steps to complete
";
    assert_eq!(list(&[healthy(), other]), expected);
    assert_eq!(list(&[]), "no rollouts\n");
    assert!(
        list(&[rolled_back()]).contains("Degraded  0% "),
        "{}",
        list(&[rolled_back()])
    );
}
