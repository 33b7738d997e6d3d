//! The dynamic table, beside one that is as simple as can be.

use super::super::table::*;
use proptest::{collection::vec, prelude::*};

/// A table as RFC 7541 section 4 describes it.
struct Model {
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    limit: usize,
}

impl Model {
    fn size(&self) -> usize {
        let sizes = self
            .fields
            .iter()
            .map(|(name, value)| entry_size(name, value));
        sizes.sum()
    }

    fn insert(&mut self, name: &[u8], value: &[u8]) {
        self.fields.insert(0, (name.to_vec(), value.to_vec()));
        self.evict();
    }

    fn evict(&mut self) {
        while self.size() > self.limit {
            self.fields.pop();
        }
    }
}

fn check_same(table: &Table<u32>, model: &Model) {
    for (place, (name, value)) in model.fields.iter().enumerate() {
        assert_eq!(table.get(place), Some((&name[..], &value[..])));
    }
    assert_eq!(table.get(model.fields.len()), None);
    assert_eq!(table.size(), model.size());
}

#[derive(Clone, Debug)]
enum Step {
    Insert { name: usize, value: usize },
    Limit(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let length = || prop_oneof![0..4_usize, 0..40_usize, 0..500_usize, Just(1000_usize)];
    let step = prop_oneof![
        40 => (length(), length()).prop_map(|(name, value)| Step::Insert { name, value }),
        1 => prop_oneof![Just(0), 0..100_usize, 0..4097_usize].prop_map(Step::Limit),
    ];
    vec(step, 0..400)
}

proptest! {
    #[test]
    fn a_table_has_what_the_simplest_one_has(limit in 0..4097_usize, steps in steps()) {
        let mut table = Table::new(limit);
        let mut model = Model { fields: Vec::new(), limit };
        let mut largest = limit;
        for (i, step) in steps.iter().enumerate() {
            match *step {
                Step::Insert { name, value } => {
                    let (name, value) = (vec![i as u8; name], vec![!i as u8; value]);
                    table.insert(i as u32, &name, &value);
                    model.insert(&name, &value);
                }
                Step::Limit(limit) => {
                    table.set_limit(limit);
                    model.limit = limit;
                    model.evict();
                    largest = largest.max(limit);
                }
            }
            check_same(&table, &model);
            let (text, entries) = table.room();
            prop_assert!(text <= (largest + largest / 2).max(256), "{} for {}", text, largest);
            prop_assert!(entries <= (largest / 32 + largest / 64).max(8), "{} for {}", entries, largest);
        }
    }
}

#[test]
fn nothing_is_held_before_there_is_a_field_and_after_there_can_be_none() {
    let mut table = Table::new(4096);
    assert_eq!(table.room(), (0, 0));
    table.insert((), b"name", b"value");
    assert_eq!(table.room().0, 256);
    table.set_limit(0);
    assert_eq!(table.room(), (0, 0));
}

#[test]
fn text_is_found_behind_4_gib_of_it() {
    let mut table = Table::new(4096);
    table.begin_at(u32::MAX - 1000);
    for i in 0..1000_u32 {
        table.insert(i, &i.to_be_bytes(), b"some value");
        assert_eq!(table.find(i, |_, _| true), Some(0));
        assert_eq!(table.find(i, |_, _| false), None);
        let oldest = i.saturating_sub(4096 / 46 - 1);
        let place = (i - oldest) as usize;
        assert_eq!(
            table.get(place),
            Some((&oldest.to_be_bytes()[..], &b"some value"[..]))
        );
        assert_eq!(table.get(place + 1), None);
    }
}
