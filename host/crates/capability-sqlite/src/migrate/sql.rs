//! SQL text: its tokens, two texts compared, names quoted.
//!
//! What SQLite tells about a table by PRAGMA leaves out CHECKs, collations and generated columns, and an
//! index on an expression, a trigger or a view is nothing but its text. So texts are compared token by
//! token, in which case, white space and comments do not count.

use std::fmt::Write as _;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword, a name or a number.
    Word,
    /// A name in quotes.
    Name,
    /// A text in single quotes.
    Text,
    /// Any other single character.
    Symbol,
}

/// A token, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    pub(super) at: usize,
}

impl Token<'_> {
    /// Where it ends.
    pub(super) fn end(&self) -> usize {
        self.at + self.text.len()
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    pub(super) fn is_symbol(&self, symbol: &str) -> bool {
        self.kind == Kind::Symbol && self.text == symbol
    }

    /// The name that it is, without quotes, in lower case.
    pub(super) fn name(&self) -> String {
        let (open, inner) = match self.text.split_at_checked(1) {
            Some((open, rest)) if self.kind != Kind::Word && !rest.is_empty() => {
                (open, &rest[..rest.len() - 1])
            }
            _ => ("", self.text),
        };
        fold(&match open {
            "\"" | "`" | "'" => inner.replace(&open.repeat(2), open),
            _ => inner.to_owned(),
        })
    }

    fn normal(&self) -> String {
        match self.kind {
            Kind::Word => self.text.to_ascii_lowercase(),
            Kind::Name => {
                let name = self.name();
                let plain = name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                if plain { name } else { quoted(&name) }
            }
            Kind::Text | Kind::Symbol => self.text.to_owned(),
        }
    }
}

/// The tokens of a text, without white space and comments. What is not closed goes on to the end.
pub(super) fn tokens(sql: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = sql[at..].chars().next() {
        let rest = &sql[at..];
        let (kind, length) = match first {
            _ if first.is_ascii_whitespace() => (None, 1),
            '-' if rest.starts_with("--") => (None, rest.find('\n').unwrap_or(rest.len())),
            '/' if rest.starts_with("/*") => {
                (None, rest[2..].find("*/").map_or(rest.len(), |end| end + 4))
            }
            '\'' => (Some(Kind::Text), quotation(rest, '\'')),
            '"' | '`' => (Some(Kind::Name), quotation(rest, first)),
            '[' => (
                Some(Kind::Name),
                rest.find(']').map_or(rest.len(), |end| end + 1),
            ),
            _ if is_of_a_word(first) => {
                let end = rest.find(|char| !is_of_a_word(char));
                (Some(Kind::Word), end.unwrap_or(rest.len()))
            }
            _ => (Some(Kind::Symbol), first.len_utf8()),
        };
        if let Some(kind) = kind {
            let text = &rest[..length];
            tokens.push(Token { kind, text, at });
        }
        at += length;
    }
    tokens
}

fn is_of_a_word(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '_' | '$') || !char.is_ascii()
}

/// How long a quotation is; a doubled quote stands for one.
fn quotation(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, char)) = chars.next() {
        if char == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
            return at + 1;
        }
    }
    text.len()
}

/// Tokens in the one form in which they are compared.
pub(super) fn normal_of(tokens: &[Token<'_>]) -> String {
    let words: Vec<_> = tokens.iter().map(Token::normal).collect();
    words.join(" ")
}

/// A text in the one form in which it is compared.
pub(super) fn normal(sql: &str) -> String {
    normal_of(&tokens(sql))
}

/// A name as it is compared: SQLite ignores the case of ASCII letters.
pub(super) fn fold(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// A name in quotes.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as a literal.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Names in quotes, with commas between them.
pub(super) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut list = String::new();
    for name in names {
        let comma = if list.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(list, "{comma}{}", quoted(name));
    }
    list
}

/// The end of the group that begins with the parenthesis at `open`: the index of the one that closes it.
pub(super) fn closing(tokens: &[Token<'_>], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        if token.is_symbol("(") {
            depth += 1;
        } else if token.is_symbol(")") {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some(index);
            }
        }
    }
    None
}

/// What stands between the commas that are in no parentheses.
pub(super) fn parts<'a, 'b>(tokens: &'b [Token<'a>]) -> Vec<&'b [Token<'a>]> {
    let mut depth = 0_i32;
    tokens
        .split(|token| {
            depth += i32::from(token.is_symbol("(")) - i32::from(token.is_symbol(")"));
            depth == 0 && token.is_symbol(",")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_space_and_comments_do_not_count_and_texts_do() {
        let one = "CREATE TABLE \"Notes\" ( -- the notes\n id INTEGER, /* two */ [at] TEXT DEFAULT 'Now'\n)";
        let two = "create table notes(id integer,at text default 'Now')";
        assert_eq!(normal(one), normal(two));
        for other in [
            "create table notes(id integer,at text default 'now')",
            "create table notes(id integer,at text default 'Now' )x",
            "create table notes(id integer,\"a t\" text default 'Now')",
        ] {
            assert_ne!(normal(two), normal(other));
        }
    }

    #[test]
    fn quotations_have_doubled_quotes_and_may_stay_open() {
        let texts = |sql| {
            tokens(sql)
                .iter()
                .map(|token| token.text.to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(texts("'it''s'x"), ["'it''s'", "x"]);
        assert_eq!(texts("\"a\"\"b\"(c)"), ["\"a\"\"b\"", "(", "c", ")"]);
        assert_eq!(tokens("\"A\"\"b\"")[0].name(), "a\"b");
        assert_eq!(texts("a 'open"), ["a", "'open"]);
        assert_eq!(texts("a /* open"), ["a"]);
        assert_eq!(texts("a -- end"), ["a"]);
        assert_eq!(texts("größe=1"), ["größe", "=", "1"]);
        assert_eq!(tokens("'").len(), 1);
        assert_eq!(tokens("\"")[0].name(), "\"");
    }

    #[test]
    fn parts_are_set_apart_by_the_outer_commas() {
        let all = tokens("a, check (b in (1, 2)), c");
        let parts: Vec<_> = parts(&all).into_iter().map(normal_of).collect();
        assert_eq!(parts, ["a", "check ( b in ( 1 , 2 ) )", "c"]);
        assert_eq!(closing(&all, 3), Some(11));
        assert_eq!(closing(&tokens("(("), 0), None);
    }
}
