use super::{clipped, count, counted, magnitude, percent, rate, seconds, wrapped};

#[test]
fn numbers_read_as_people_write_them() {
    let check = |actual: String, expected: &str| assert_eq!(actual, expected);
    check(count(0), "0");
    check(count(999), "999");
    check(count(1_000), "1,000");
    check(count(1_234_567), "1,234,567");

    check(percent(0.0), "0%");
    check(percent(0.0004), "< 0.001%");
    check(percent(0.031), "0.031%");
    check(percent(0.5), "0.5%");
    check(percent(25.0), "25%");
    check(percent(33.333), "33.3%");
    check(percent(100.0), "100%");

    check(seconds(0.000_84), "840 µs");
    check(seconds(0.001_2), "1.2 ms");
    check(seconds(0.042), "42 ms");
    check(seconds(0.999_6), "1 s");
    check(seconds(1.25), "1.25 s");
    check(seconds(12.34), "12.3 s");
    check(seconds(59.97), "1 min");
    check(seconds(200.0), "3 min 20 s");
    check(seconds(3_599.6), "1 h");
    check(seconds(5_400.0), "1 h 30 min");
    check(seconds(f64::INFINITY), "more than a month");

    check(rate(0.04), "0.0");
    check(rate(38.24), "38.2");
    check(rate(1_234.5), "1,235");

    check(magnitude(0.000_04), "4.0e-5");
    check(magnitude(0.01), "0.010");
    check(magnitude(3.36), "3.4");
    check(magnitude(420.4), "420");
    check(magnitude(31_234.0), "31,000");
    check(magnitude(2.1e9), "2.1e9");

    check(counted(1, "request"), "1 request");
    check(counted(1_200, "request"), "1,200 requests");

    check(clipped("canary", 6), "canary");
    check(clipped("canary", 4), "can…");
    check(clipped("canary", 0), "");
    assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
    assert_eq!(wrapped("extraordinary word", 4), ["extraordinary", "word"]);
}
