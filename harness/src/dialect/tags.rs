//! Selects scripts by their tags.

/// Sets of tags. A script is in a set if it has all of its tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags {
    /// If there are any, a script runs only if it is in one of them.
    pub select: Vec<Vec<String>>,
    /// A script in one of them does not run, even if `select` selects it.
    pub skip: Vec<Vec<String>>,
}

impl Tags {
    /// The sets that texts such as `fast,storage` describe.
    pub fn sets(texts: Vec<String>) -> Vec<Vec<String>> {
        let tags =
            |text: String| text.split(',').map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty()).collect();
        texts.into_iter().map(tags).filter(|set: &Vec<String>| !set.is_empty()).collect()
    }

    /// The reason why a script with these tags does not run; `None` if it runs.
    pub fn leave_out(&self, tags: &[String]) -> Option<String> {
        let is_in = |set: &&Vec<String>| set.iter().all(|tag| tags.contains(tag));
        if let Some(set) = self.skip.iter().find(is_in) {
            return Some(format!("left out by its tags: {}", set.join(", ")));
        }
        if self.select.is_empty() || self.select.iter().any(|set| is_in(&set)) {
            return None;
        }
        let own = if tags.is_empty() { "it has none".to_owned() } else { format!("it has {}", tags.join(", ")) };
        Some(format!("not selected by its tags: {own}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_must_be_in_one_set_and_in_no_other() {
        let sets = |texts: &[&str]| Tags::sets(texts.iter().map(|text| (*text).to_owned()).collect());
        let left_out = |select: &[&str], skip: &[&str], own: &[&str]| {
            let own: Vec<String> = own.iter().map(|tag| (*tag).to_owned()).collect();
            Tags { select: sets(select), skip: sets(skip) }.leave_out(&own)
        };
        assert_eq!(left_out(&[], &[], &[]), None);
        assert_eq!(left_out(&["a,b", "c"], &[], &["b", "a"]), None);
        assert_eq!(left_out(&["a,b", "c"], &[], &["c"]), None);
        assert_eq!(left_out(&["a, b", "c"], &[], &["a"]).unwrap(), "not selected by its tags: it has a");
        assert_eq!(left_out(&["a"], &[], &[]).unwrap(), "not selected by its tags: it has none");
        assert_eq!(left_out(&["a"], &["b"], &["a", "b"]).unwrap(), "left out by its tags: b");
        assert_eq!(left_out(&[], &["b,c", " "], &["b"]), None);
    }
}
