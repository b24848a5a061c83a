//! The URL of a server, and other texts that name an engine, displayed without passwords.

use std::fmt;

/// Why a choice of an engine is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// The text does not have the form of an engine.
    #[error("{}", unknown(.shown, *.near))]
    Unknown {
        /// The text without secrets.
        shown: String,
        /// The form of the engine that it may be a misspelling of.
        near: Option<&'static str>,
    },
    /// The command after `external:` is missing.
    #[error("`external:` needs a command, such as `external:python3 driver.py`")]
    NoCommand,
    /// The program was built without this engine.
    #[error("this program was built without the engine `{0}`: switch on the feature `{0}` of `slt-harness`")]
    NotBuilt(&'static str),
    /// The engine is not a server.
    #[error("the engine `{0}` leaves no databases behind: name a server")]
    NoServer(&'static str),
    /// The URL is invalid.
    #[error("cannot use `{shown}`: {why}")]
    Url {
        /// The URL without secrets.
        shown: String,
        /// What is wrong with it.
        why: String,
    },
}

/// The names of engines, each with the form in which it is typed.
const FORMS: [(&str, &str); 6] = [
    ("sqlite", "sqlite"),
    ("postgres", "postgres://…"),
    ("postgresql", "postgres://…"),
    ("mysql", "mysql://…"),
    ("mariadb", "mysql://…"),
    ("external", "external:COMMAND"),
];

impl ChoiceError {
    /// The error for a text that is no engine.
    pub(super) fn unknown(text: &str) -> ChoiceError {
        let is_plain = |c: char| c.is_alphanumeric() || "_-.".contains(c);
        let name = text.split(|c| !is_plain(c)).next().unwrap_or_default();
        let shown = match text.contains("://") {
            true => Url::new(text).to_string(),
            // The rest may contain a password.
            false if name.len() < text.len() => format!("{name}…"),
            false => text.to_owned(),
        };
        let name = name.to_lowercase();
        let near = FORMS.iter().map(|(known, form)| (strsim::damerau_levenshtein(known, &name), *form)).min();
        let near = near.filter(|(distance, _)| *distance <= name.len().div_ceil(5)).map(|(_, form)| form);
        ChoiceError::Unknown { shown, near: near.filter(|_| !name.is_empty()) }
    }
}

fn unknown(shown: &str, near: Option<&str>) -> String {
    let shown = if shown.is_empty() { String::new() } else { format!(" `{shown}`") };
    match near {
        Some(form) => format!("no such engine{shown}; did you mean `{form}`?"),
        None => {
            format!("no such engine{shown}: use `sqlite`, `postgres://…`, `mysql://…` or `external:COMMAND`")
        }
    }
}

/// A server's URL. Its `Display` hides the password, and all parameters, because they may contain one.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(String);

impl Url {
    pub(super) fn new(text: impl Into<String>) -> Url {
        Url(text.into())
    }

    /// The URL, including its password.
    pub(super) fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", &self.0));
        // A password may contain any of these characters unescaped: show too little rather than too much.
        let (user, place) = rest.rsplit_once('@').map_or((None, rest), |(user, place)| (Some(user), place));
        write!(f, "{scheme}://")?;
        if let Some(user) = user {
            write!(f, "{}@", user.split([':', '/', '?', '#']).next().unwrap_or_default())?;
            // The rest may be the end of a parameter.
            if user.contains('?') {
                return f.write_str("…");
            }
        }
        let place = place.split(['?', '#']).next().unwrap_or_default();
        let hosts = place.split('/').next().unwrap_or_default();
        let is_odd = |(host, port): &(&str, &str)| {
            let is_address = host.starts_with('[') && port.ends_with(']');
            !is_address && port.bytes().any(|byte| !byte.is_ascii_digit())
        };
        match hosts.split(',').filter_map(|host| host.rsplit_once(':')).find(is_odd) {
            // This may be a password, if the user forgot the host.
            Some((host, _)) => write!(f, "{host}:…"),
            None => f.write_str(place),
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

#[cfg(any(feature = "postgres", feature = "mysql"))]
impl Url {
    /// The URL without the parameter `name`, and the value of that parameter.
    pub(crate) fn take(&self, name: &str) -> (String, Option<String>) {
        let Some((place, query)) = self.0.split_once('?') else { return (self.0.clone(), None) };
        let (mut rest, mut found) = (Vec::new(), None);
        for pair in query.split('&') {
            match pair.split_once('=') {
                Some((key, value)) if key == name => found = Some(value.to_owned()),
                _ => rest.push(pair),
            }
        }
        let text = if rest.is_empty() { place.to_owned() } else { format!("{place}?{}", rest.join("&")) };
        (text, found)
    }

    /// The error for this URL. `why` must not contain any part of the URL.
    pub(crate) fn complain(&self, why: impl fmt::Display) -> ChoiceError {
        ChoiceError::Url { shown: self.to_string(), why: why.to_string() }
    }
}

/// The start of a command, up to the first word that may contain a secret.
pub(super) fn shown_command(command: &str) -> String {
    let plain = |word: &&str| !word.starts_with('-') && !word.contains(['=', '@', ':', '$', '"', '\'']);
    let words: Vec<&str> = command.split_whitespace().collect();
    let shown: Vec<&str> = words.iter().copied().take_while(plain).collect();
    if shown.len() == words.len() {
        shown.join(" ")
    } else {
        format!("{} …", shown.join(" ")).trim_start().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_engine_is_shown_without_its_password_and_a_similar_one_is_suggested() {
        let all = "use `sqlite`, `postgres://…`, `mysql://…` or `external:COMMAND`";
        for (text, words) in [
            ("", format!("no such engine: {all}")),
            ("oracle", format!("no such engine `oracle`: {all}")),
            ("oracle://me:hunter2@h/db", format!("no such engine `oracle://me@h/db`: {all}")),
            ("me:hunter2@h", format!("no such engine `me…`: {all}")),
            ("sqlit", "no such engine `sqlit`; did you mean `sqlite`?".to_owned()),
            ("SQLite", "no such engine `SQLite`; did you mean `sqlite`?".to_owned()),
            ("postgres", "no such engine `postgres`; did you mean `postgres://…`?".to_owned()),
            ("mysq://me:hunter2@h", "no such engine `mysq://me@h`; did you mean `mysql://…`?".to_owned()),
            ("extrenal:cat hunter2", "no such engine `extrenal…`; did you mean `external:COMMAND`?".to_owned()),
        ] {
            assert_eq!(ChoiceError::unknown(text).to_string(), words, "{text}");
        }
    }

    #[cfg(any(feature = "postgres", feature = "mysql"))]
    #[test]
    fn our_own_parameters_are_removed() {
        let url = |text: &str| Url(text.to_owned());
        let take = |text: &str| url(text).take("ours");
        assert_eq!(take("a://b/c?ours=1"), ("a://b/c".to_owned(), Some("1".to_owned())));
        assert_eq!(take("a://b/c?x=1&ours=2&y=3"), ("a://b/c?x=1&y=3".to_owned(), Some("2".to_owned())));
        assert_eq!(take("a://b/c?x=1"), ("a://b/c?x=1".to_owned(), None));
    }
}
