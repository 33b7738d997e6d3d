use super::rps;

#[test]
fn rates_are_checked() {
    assert_eq!(rps("250"), Ok(250.0));
    assert_eq!(rps("0.5"), Ok(0.5));
    for refused in ["0", "-1", "NaN", "inf", "1e9", "many"] {
        assert_eq!(
            rps(refused),
            Err(format!("found `{refused}`, allowed is 0.1 to 50000"))
        );
    }
}
