//! Label selectors as text, as autoscalers read them from `status.selector`.

use crds::{LabelSelector, LabelSelectorOperator};

/// `selector` in the words of a query: `app=shop,tier in (a,b)` (`metav1.FormatLabelSelector`).
pub(super) fn text(selector: &LabelSelector) -> String {
    let equal = selector.match_labels.iter();
    let equal = equal.map(|(key, value)| (key.clone(), format!("{key}={value}")));
    let others = selector.match_expressions.iter().map(|requirement| {
        let key = &requirement.key;
        let mut values = requirement.values.clone();
        values.sort_unstable();
        let values = values.join(",");
        let text = match requirement.operator {
            LabelSelectorOperator::In => format!("{key} in ({values})"),
            LabelSelectorOperator::NotIn => format!("{key} notin ({values})"),
            LabelSelectorOperator::Exists => key.clone(),
            LabelSelectorOperator::DoesNotExist => format!("!{key}"),
        };
        (key.clone(), text)
    });
    let mut all: Vec<_> = equal.chain(others).collect();
    all.sort();
    let texts: Vec<_> = all.into_iter().map(|(_, text)| text).collect();
    texts.join(",")
}
