//! The text of a CREATE TABLE, taken apart: what PRAGMAs do not tell, and the pieces of a rebuild.

use super::sql::{Token, closing, fold, normal_of, parts, tokens};

/// What begins a constraint of a column, and so ends its type.
const OF_A_COLUMN: [&str; 12] = [
    "constraint",
    "primary",
    "not",
    "null",
    "unique",
    "check",
    "default",
    "collate",
    "references",
    "generated",
    "as",
    "on",
];
/// What begins a constraint of the table.
const OF_THE_TABLE: [&str; 5] = ["constraint", "primary", "unique", "check", "foreign"];

/// A CREATE TABLE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Definition {
    pub(super) columns: Vec<ColumnText>,
    /// The constraints of the table, each as it is written.
    pub(super) constraints: Vec<String>,
    /// What follows the closing parenthesis.
    pub(super) options: String,
    /// The CHECKs of the table and of its columns.
    pub(super) checks: Vec<Check>,
    /// How many foreign keys are checked only at the commit.
    pub(super) deferred: usize,
    /// Whether a rowid is never given twice.
    pub(super) autoincrement: bool,
    /// What the constraints of the table do on a conflict, where they say so.
    pub(super) conflicts: Vec<String>,
}

/// A column, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ColumnText {
    /// In lower case.
    pub(super) name: String,
    pub(super) text: String,
    /// What no PRAGMA tells of it, in the form in which it is compared.
    pub(super) collation: Option<String>,
    pub(super) generated: Option<String>,
    pub(super) conflicts: Vec<String>,
    /// Whether ALTER TABLE can add it, for all that its text says.
    pub(super) addable: bool,
}

/// A CHECK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Check {
    /// The expression as it is written.
    pub(super) text: String,
    /// In the form in which it is compared.
    pub(super) normal: String,
    /// The words in it, in lower case: names of columns among them.
    pub(super) words: Vec<String>,
    /// The column that it stands at.
    pub(super) column: Option<String>,
}

impl Definition {
    /// Takes a CREATE TABLE apart; none where it is none that SQLite would have kept.
    pub(super) fn read(sql: &str) -> Option<Self> {
        let all = tokens(sql);
        if all.get(1)?.is_word("virtual") {
            return None;
        }
        let open = all.iter().position(|token| token.is_symbol("("))?;
        let close = closing(&all, open)?;
        let mut definition = Self {
            columns: Vec::new(),
            constraints: Vec::new(),
            options: sql[all[close].end()..].trim().to_owned(),
            checks: Vec::new(),
            deferred: 0,
            autoincrement: false,
            conflicts: Vec::new(),
        };
        for part in parts(&all[open + 1..close]) {
            let (first, last) = (part.first()?, part.last()?);
            let text = sql[first.at..last.end()].to_owned();
            definition.deferred += pairs(part, "initially", "deferred").count();
            definition.autoincrement |= part.iter().any(|token| token.is_word("autoincrement"));
            let conflicts = conflicts(part);
            if OF_THE_TABLE.iter().any(|word| first.is_word(word)) {
                definition.checks.extend(checks(sql, part, None));
                definition.constraints.push(text);
                definition.conflicts.extend(conflicts);
                continue;
            }
            let name = first.name();
            definition.checks.extend(checks(sql, part, Some(&name)));
            definition.columns.push(column(name, text, part, conflicts));
        }
        Some(definition)
    }

    pub(super) fn column(&self, name: &str) -> Option<&ColumnText> {
        self.columns.iter().find(|column| column.name == fold(name))
    }
}

fn column(name: String, text: String, part: &[Token<'_>], conflicts: Vec<String>) -> ColumnText {
    let follows = |word: &str| {
        let at = part.iter().position(|token| token.is_word(word))?;
        part.get(at + 1).map(|_| at + 1)
    };
    let generated = follows("as").and_then(|open| {
        let close = closing(part, open)?;
        Some(normal_of(&part[open..]).replace(" virtual", "")).filter(|_| close > open)
    });
    let default = follows("default").map(|at| part[at]);
    let default_varies = default.is_some_and(|token| {
        token.is_symbol("(") || token.text.to_ascii_lowercase().starts_with("current_")
    });
    let constrained = [
        "primary",
        "unique",
        "check",
        "references",
        "generated",
        "as",
    ]
    .iter()
    .any(|word| part.iter().skip(1).any(|token| token.is_word(word)));
    ColumnText {
        collation: follows("collate")
            .map(|at| part[at].name())
            .filter(|name| name != "binary"),
        addable: !default_varies && !constrained,
        name,
        text,
        generated,
        conflicts,
    }
}

/// What is done on a conflict, by constraint.
fn conflicts(part: &[Token<'_>]) -> Vec<String> {
    pairs(part, "on", "conflict")
        .filter_map(|at| part.get(at + 2))
        .map(Token::name)
        .filter(|what| what != "abort")
        .collect()
}

fn pairs<'a>(
    part: &'a [Token<'_>],
    first: &'a str,
    second: &'a str,
) -> impl Iterator<Item = usize> + 'a {
    let windows = part.windows(2).enumerate();
    windows
        .filter(move |(_, pair)| pair[0].is_word(first) && pair[1].is_word(second))
        .map(|(at, _)| at)
}

fn checks(sql: &str, part: &[Token<'_>], column: Option<&str>) -> Vec<Check> {
    let mut checks = Vec::new();
    for (at, _) in part
        .iter()
        .enumerate()
        .filter(|(_, token)| token.is_word("check"))
    {
        let Some(close) = closing(part, at + 1) else {
            continue;
        };
        let inner = &part[at + 2..close];
        let (Some(first), Some(last)) = (inner.first(), inner.last()) else {
            continue;
        };
        checks.push(Check {
            text: sql[first.at..last.end()].to_owned(),
            normal: normal_of(inner),
            words: inner.iter().map(Token::name).collect(),
            column: column.map(str::to_owned),
        });
    }
    checks
}

/// A column's text for a table in which nothing fills it: without a key, and nullable where there is no
/// default. In a STRICT table it takes values of any type, as it did before.
pub(super) fn relaxed(text: &str, has_default: bool, strict: bool) -> String {
    let all = tokens(text);
    let Some(name) = all.first() else {
        return text.to_owned();
    };
    let ends_type = |token: &Token<'_>| OF_A_COLUMN.iter().any(|word| token.is_word(word));
    let type_end = all
        .iter()
        .skip(1)
        .position(ends_type)
        .map_or(all.len(), |at| at + 1);
    let mut relaxed = name.text.to_owned();
    if strict {
        relaxed.push_str(" ANY");
    } else if type_end > 1 {
        relaxed.push(' ');
        relaxed.push_str(&text[all[1].at..all[type_end - 1].end()]);
    }
    let is = |at: usize, word: &str| all.get(at).is_some_and(|token| token.is_word(word));
    let (mut at, mut depth, mut end) = (type_end, 0, None);
    while let Some(token) = all.get(at) {
        let outside = depth == 0;
        depth += i32::from(token.is_symbol("(")) - i32::from(token.is_symbol(")"));
        let not_null = is(at, "not") && is(at + 1, "null") && !has_default;
        let key = is(at, "primary") && is(at + 1, "key");
        let dropped = match token {
            _ if !outside => 0,
            _ if key => 2 + usize::from(is(at + 2, "asc") || is(at + 2, "desc")),
            // The name of what follows goes too: that may be what is dropped.
            token if not_null || token.is_word("constraint") => 2,
            token => usize::from(token.is_word("autoincrement")),
        };
        if dropped > 0 {
            at += dropped;
            at += if is(at, "on") && is(at + 1, "conflict") {
                3
            } else {
                0
            };
            continue;
        }
        // An operator of two characters is two tokens.
        if end != Some(token.at) {
            relaxed.push(' ');
        }
        relaxed.push_str(token.text);
        end = Some(token.end());
        at += 1;
    }
    relaxed
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "CREATE TABLE \"Notes\" (
        id INTEGER PRIMARY KEY AUTOINCREMENT, -- the key
        [Text] VARCHAR(10, 2) COLLATE nocase NOT NULL ON CONFLICT REPLACE DEFAULT ',',
        long INT GENERATED ALWAYS AS (length(Text)) STORED,
        at INTEGER DEFAULT (1 + 2) CHECK (at > 0),
        CONSTRAINT sane CHECK (id IN (1, 2) AND at > 1),
        FOREIGN KEY (at) REFERENCES t (x) DEFERRABLE INITIALLY DEFERRED
    ) STRICT";

    #[test]
    fn a_table_is_taken_apart() {
        let table = Definition::read(TABLE).unwrap();
        let names: Vec<_> = table
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        assert_eq!(names, ["id", "text", "long", "at"]);
        assert_eq!(table.constraints.len(), 2);
        assert_eq!(table.options, "STRICT");
        assert_eq!((table.deferred, table.autoincrement), (1, true));
        let text = table.column("TEXT").unwrap();
        assert_eq!(text.collation.as_deref(), Some("nocase"));
        assert_eq!(text.conflicts, ["replace"]);
        assert!(text.addable);
        let addable = |name| table.column(name).unwrap().addable;
        assert!(!addable("id") && !addable("long") && !addable("at"));
        let generated = table.column("long").unwrap().generated.as_deref();
        assert_eq!(generated, Some("( length ( text ) ) stored"));
        assert_eq!(table.checks[0].column.as_deref(), Some("at"));
        assert_eq!(table.checks[1].text, "id IN (1, 2) AND at > 1");
        assert!(table.checks[1].words.contains(&"at".to_owned()));
        assert_eq!(
            Definition::read("CREATE VIRTUAL TABLE x USING y (a, b)"),
            None
        );
    }

    #[test]
    fn a_column_that_nothing_fills_is_relaxed() {
        for (text, has_default, strict, relaxed_to) in [
            ("a TEXT NOT NULL", false, false, "a TEXT"),
            (
                "a TEXT NOT NULL DEFAULT 'x'",
                true,
                false,
                "a TEXT NOT NULL DEFAULT 'x'",
            ),
            ("a VARCHAR(10) NOT NULL", false, true, "a ANY"),
            ("a", false, true, "a ANY"),
            (
                "a INT NOT NULL CHECK (a NOT NULL AND a <> x'00' || 1)",
                false,
                false,
                "a INT CHECK (a NOT NULL AND a <> x'00' || 1)",
            ),
            (
                "\"a b\" INT CONSTRAINT k PRIMARY KEY ASC ON CONFLICT FAIL AUTOINCREMENT CHECK (a > 1)",
                false,
                false,
                "\"a b\" INT CHECK (a > 1)",
            ),
            (
                "a INT CHECK (a NOT NULL)",
                true,
                false,
                "a INT CHECK (a NOT NULL)",
            ),
        ] {
            assert_eq!(relaxed(text, has_default, strict), relaxed_to, "{text}");
        }
    }
}
