//! Cuts a template into text and the words of its actions.
//!
//! Blanks count: `.A .B` are two operands and `.A.B` is one, so each word knows whether a blank
//! stood before it. Trim markers and comments are gone after this.

use serde_json::Number;

use crate::ParseError;

/// A piece of a template.
#[derive(Debug)]
pub(crate) enum Piece {
    Text(String),
    /// The words between `{{` and `}}`.
    Action(Vec<Word>, usize),
}

/// A word of an action.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Word {
    pub(crate) token: Token,
    /// A blank stands before it.
    pub(crate) apart: bool,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Token {
    Dot,
    /// `.Name`
    Field(String),
    /// `$name`; empty for `$`.
    Variable(String),
    Name(String),
    Text(String),
    Number(Number),
    Pipe,
    Open,
    Close,
    Comma,
    Declare,
    Assign,
}

pub(crate) fn lex(text: &str) -> Result<Vec<Piece>, ParseError> {
    let (mut pieces, mut rest, mut line, mut trim) = (Vec::new(), text, 1, false);
    while let Some(at) = rest.find("{{") {
        let (before, action) = (&rest[..at], &rest[at + 2..]);
        let opens_trimmed = action.starts_with('-') && action[1..].starts_with(is_blank);
        push_text(&mut pieces, before, trim, opens_trimmed);
        line += newlines(before);
        let action = if opens_trimmed { &action[1..] } else { action };
        let (words, after) = match action.trim_start_matches(is_blank).strip_prefix("/*") {
            Some(comment) => (Vec::new(), skip_comment(comment, line)?),
            None => Words { rest: action, line }.all()?,
        };
        trim = after.trimmed;
        if !words.is_empty() {
            pieces.push(Piece::Action(words, line));
        } else if !after.comment {
            return Err(error(line, "missing value for command"));
        }
        line += newlines(&action[..action.len() - after.rest.len()]);
        rest = after.rest;
    }
    push_text(&mut pieces, rest, trim, false);
    Ok(pieces)
}

/// What follows an action.
struct After<'a> {
    rest: &'a str,
    /// It ended in ` -}}`.
    trimmed: bool,
    comment: bool,
}

fn push_text(pieces: &mut Vec<Piece>, text: &str, start: bool, end: bool) {
    let text = if start { text.trim_start_matches(is_blank) } else { text };
    let text = if end { text.trim_end_matches(is_blank) } else { text };
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
}

fn skip_comment(comment: &str, line: usize) -> Result<After<'_>, ParseError> {
    let Some(end) = comment.find("*/") else { return Err(error(line, "unclosed comment")) };
    let tail = &comment[end + 2..];
    let trimmed = tail.starts_with(is_blank) && tail.trim_start_matches(is_blank).starts_with('-');
    let tail = tail.trim_start_matches(is_blank);
    let tail = if trimmed { &tail[1..] } else { tail };
    let rest = tail.strip_prefix("}}").ok_or_else(|| error(line, "comment ends before `}}`"))?;
    Ok(After { rest, trimmed, comment: true })
}

struct Words<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Words<'a> {
    fn all(mut self) -> Result<(Vec<Word>, After<'a>), ParseError> {
        let mut words = Vec::new();
        loop {
            let bare = self.rest.trim_start_matches(is_blank);
            let apart = bare.len() != self.rest.len();
            if let Some(rest) = bare.strip_prefix("-}}").filter(|_| apart) {
                return Ok((words, After { rest, trimmed: true, comment: false }));
            }
            if let Some(rest) = bare.strip_prefix("}}") {
                return Ok((words, After { rest, trimmed: false, comment: false }));
            }
            self.rest = bare;
            let token = self.token()?;
            words.push(Word { token, apart });
        }
    }

    fn token(&mut self) -> Result<Token, ParseError> {
        for (mark, token) in [
            (":=", Token::Declare),
            ("=", Token::Assign),
            ("|", Token::Pipe),
            ("(", Token::Open),
            (")", Token::Close),
            (",", Token::Comma),
        ] {
            if let Some(rest) = self.rest.strip_prefix(mark) {
                self.rest = rest;
                return Ok(token);
            }
        }
        let Some(first) = self.rest.chars().next() else {
            return Err(error(self.line, "unclosed action"));
        };
        match first {
            '"' => self.quoted(),
            '`' => self.raw(),
            '\'' => self.rune(),
            '$' => Ok(Token::Variable(self.name_after(1))),
            '.' if !self.rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                let name = self.name_after(1);
                Ok(if name.is_empty() { Token::Dot } else { Token::Field(name) })
            }
            c if c.is_ascii_digit() || matches!(c, '+' | '-' | '.') => self.number(),
            c if c.is_alphabetic() || c == '_' => Ok(Token::Name(self.name_after(0))),
            c => Err(error(self.line, format!("unexpected {c:?} in an action"))),
        }
    }

    fn name_after(&mut self, skip: usize) -> String {
        let tail = &self.rest[skip..];
        let end = tail.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(tail.len());
        self.rest = &tail[end..];
        tail[..end].to_owned()
    }

    fn number(&mut self) -> Result<Token, ParseError> {
        let sign = usize::from(self.rest.starts_with(['+', '-']));
        let end =
            self.rest[sign..].find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '_');
        let (word, rest) = self.rest.split_at(end.map_or(self.rest.len(), |end| end + sign));
        self.rest = rest;
        let bad = || error(self.line, format!("bad number: {word:?}"));
        let digits = word.trim_start_matches('+').replace('_', "");
        let number = match digits.strip_prefix("0x") {
            Some(hex) => i64::from_str_radix(hex, 16).map(Number::from).map_err(|_| bad())?,
            None => match digits.parse::<i64>() {
                Ok(whole) => whole.into(),
                Err(_) => digits.parse().ok().and_then(Number::from_f64).ok_or_else(bad)?,
            },
        };
        Ok(Token::Number(number))
    }

    fn raw(&mut self) -> Result<Token, ParseError> {
        let tail = &self.rest[1..];
        let end = tail.find('`').ok_or_else(|| error(self.line, "unclosed raw string"))?;
        self.rest = &tail[end + 1..];
        Ok(Token::Text(tail[..end].to_owned()))
    }

    fn quoted(&mut self) -> Result<Token, ParseError> {
        self.until('"').map(Token::Text)
    }

    fn rune(&mut self) -> Result<Token, ParseError> {
        let text = self.until('\'')?;
        let mut letters = text.chars();
        match (letters.next(), letters.next()) {
            (Some(only), None) => Ok(Token::Number(u32::from(only).into())),
            _ => Err(error(self.line, "malformed character constant")),
        }
    }

    /// The text up to `quote`, with Go's escapes resolved.
    fn until(&mut self, quote: char) -> Result<String, ParseError> {
        let line = self.line;
        let unclosed = || error(line, "unterminated quoted string");
        let mut text = String::new();
        let mut letters = self.rest[1..].chars();
        loop {
            match letters.next().ok_or_else(unclosed)? {
                '\n' => return Err(unclosed()),
                '\\' => {
                    let escape = letters.next().ok_or_else(unclosed)?;
                    let letter = unescaped(escape, &mut letters);
                    text.push(letter.ok_or_else(|| error(line, "unknown escape in a string"))?);
                }
                letter if letter == quote => break,
                letter => text.push(letter),
            }
        }
        self.rest = letters.as_str();
        Ok(text)
    }
}

fn unescaped(escape: char, letters: &mut std::str::Chars<'_>) -> Option<char> {
    let mut code = |digits: usize| {
        let hex: String = letters.by_ref().take(digits).collect();
        u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32)
    };
    Some(match escape {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'v' => '\x0b',
        '\\' | '"' | '\'' => escape,
        'x' => code(2)?,
        'u' => code(4)?,
        'U' => code(8)?,
        _ => return None,
    })
}

fn newlines(text: &str) -> usize {
    text.matches('\n').count()
}

const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

pub(crate) fn error(line: usize, why: impl Into<String>) -> ParseError {
    ParseError { line, why: why.into() }
}
