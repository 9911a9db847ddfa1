//! Makes a tree of a template's pieces.

use serde_json::{Number, Value};

use crate::ParseError;
use crate::lex::{Piece, Token, Word, error, lex};

/// Deepest nesting of blocks, and of parentheses.
const MAX_DEPTH: usize = 64;
/// Most variables in scope: each use looks through them.
const MAX_NAMES: usize = 256;

#[derive(Clone, Debug)]
pub(crate) enum Node {
    Text(String),
    Action(Pipeline),
    Block(Block),
}

/// `if`, `with` or `range`, with what is between it and its `end`.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) kind: BlockKind,
    pub(crate) pipeline: Pipeline,
    pub(crate) body: Vec<Node>,
    pub(crate) otherwise: Vec<Node>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BlockKind {
    If,
    With,
    Range,
}

#[derive(Clone, Debug)]
pub(crate) struct Pipeline {
    /// Variables that take the result; two only in `range`.
    pub(crate) names: Vec<String>,
    /// `=` instead of `:=`.
    pub(crate) assigns: bool,
    pub(crate) commands: Vec<Command>,
}

/// Operands of one command; the first is called when it can be.
#[derive(Clone, Debug)]
pub(crate) struct Command(pub(crate) Vec<Operand>);

#[derive(Clone, Debug)]
pub(crate) enum Operand {
    Dot,
    Constant(Value),
    Function(String),
    /// Fields of the dot.
    Fields(Vec<String>),
    Variable(String, Vec<String>),
    Group(Box<Pipeline>, Vec<String>),
}

pub(crate) fn parse(text: &str) -> Result<Vec<Node>, ParseError> {
    let mut parser =
        Parser { pieces: lex(text)?.into_iter(), depth: 0, line: 1, names: vec![String::new()] };
    let (nodes, end) = parser.nodes()?;
    match end {
        End::Text => Ok(nodes),
        End::Closed => Err(error(parser.line, "unexpected {{end}}")),
        End::Else(_) => Err(error(parser.line, "unexpected {{else}}")),
    }
}

/// What ended a list of nodes.
enum End {
    Text,
    Closed,
    /// With the words after `else`.
    Else(Vec<Word>),
}

struct Parser {
    pieces: std::vec::IntoIter<Piece>,
    depth: usize,
    line: usize,
    /// Variables in scope; the empty name is `$`.
    names: Vec<String>,
}

impl Parser {
    fn nodes(&mut self) -> Result<(Vec<Node>, End), ParseError> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let (mut words, line) = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Piece::Action(words, line) => (words, line),
            };
            self.line = line;
            let word = match &words[0].token {
                Token::Name(name) => name.clone(),
                _ => String::new(),
            };
            match word.as_str() {
                "end" if words.len() == 1 => return Ok((nodes, End::Closed)),
                "else" => return Ok((nodes, End::Else(words.split_off(1)))),
                "define" | "template" | "block" | "break" | "continue" => {
                    return Err(error(line, format!("{{{{{word}}}}} is not supported")));
                }
                _ => match block_kind(&word) {
                    Some(kind) => nodes.push(Node::Block(self.block(kind, words.split_off(1))?)),
                    None => nodes.push(Node::Action(self.pipeline(&words, Place::Action)?)),
                },
            }
        }
        Ok((nodes, End::Text))
    }

    fn block(&mut self, kind: BlockKind, words: Vec<Word>) -> Result<Block, ParseError> {
        self.deeper()?;
        let scope = self.names.len();
        let place = if kind == BlockKind::Range { Place::Range } else { Place::Action };
        let pipeline = self.pipeline(&words, place)?;
        let (body, end) = self.nodes()?;
        let otherwise = match end {
            End::Closed => Vec::new(),
            End::Text => return Err(error(self.line, "unexpected EOF: a block has no {{end}}")),
            End::Else(words) => self.otherwise(words)?,
        };
        self.names.truncate(scope);
        self.depth -= 1;
        Ok(Block { kind, pipeline, body, otherwise })
    }

    fn otherwise(&mut self, mut words: Vec<Word>) -> Result<Vec<Node>, ParseError> {
        if words.is_empty() {
            let (nodes, end) = self.nodes()?;
            return match end {
                End::Closed => Ok(nodes),
                _ => Err(error(self.line, "expected {{end}} after {{else}}")),
            };
        }
        let kind = match &words[0].token {
            Token::Name(name) => block_kind(name).filter(|kind| *kind != BlockKind::Range),
            _ => None,
        };
        let kind = kind.ok_or_else(|| error(self.line, "unexpected words after else"))?;
        Ok(vec![Node::Block(self.block(kind, words.split_off(1))?)])
    }

    fn deeper(&mut self) -> Result<(), ParseError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(error(self.line, format!("nested more than {MAX_DEPTH} deep")));
        }
        Ok(())
    }

    fn pipeline(&mut self, words: &[Word], place: Place) -> Result<Pipeline, ParseError> {
        let (names, assigns, used) = self.declared(words, place)?;
        let mut commands = Vec::new();
        for part in self.split(&words[used..])? {
            if part.is_empty() {
                return Err(error(self.line, "missing value for command"));
            }
            commands.push(Command(self.operands(part)?));
        }
        for later in commands.iter().skip(1) {
            if matches!(later.0[0], Operand::Constant(_) | Operand::Dot) {
                return Err(error(self.line, "a later part of a pipeline must be a function"));
            }
        }
        if !assigns {
            self.names.extend(names.iter().cloned());
        }
        if self.names.len() > MAX_NAMES {
            return Err(error(self.line, format!("more than {MAX_NAMES} variables")));
        }
        Ok(Pipeline { names, assigns, commands })
    }

    /// Variables before `:=` or `=`, and how many words that were.
    fn declared(
        &self,
        words: &[Word],
        place: Place,
    ) -> Result<(Vec<String>, bool, usize), ParseError> {
        let name = |at: usize| match words.get(at).map(|word| &word.token) {
            Some(Token::Variable(name)) => Some(name.clone()),
            _ => None,
        };
        let mark = |at: usize| match words.get(at).map(|word| &word.token) {
            Some(Token::Declare) => Some(false),
            Some(Token::Assign) => Some(true),
            _ => None,
        };
        let comma = words.get(1).is_some_and(|word| word.token == Token::Comma);
        let found = match (name(0), mark(1), name(2), mark(3)) {
            (Some(only), Some(assigns), ..) => (vec![only], assigns, 2),
            (Some(key), _, Some(value), Some(assigns)) if comma && place == Place::Range => {
                (vec![key, value], assigns, 4)
            }
            _ => return Ok((Vec::new(), false, 0)),
        };
        match found.0.iter().find(|name| found.1 && !self.names.contains(name)) {
            Some(unknown) => Err(error(self.line, format!("undefined variable \"${unknown}\""))),
            None => Ok(found),
        }
    }

    /// The commands between the pipes that stand outside of parentheses.
    fn split<'w>(&self, words: &'w [Word]) -> Result<Vec<&'w [Word]>, ParseError> {
        let (mut parts, mut depth, mut from) = (Vec::new(), 0_usize, 0);
        for (at, word) in words.iter().enumerate() {
            match word.token {
                Token::Open => depth += 1,
                Token::Close => {
                    let outer = depth.checked_sub(1);
                    depth = outer.ok_or_else(|| error(self.line, "unexpected right paren"))?;
                }
                Token::Pipe if depth == 0 => {
                    parts.push(&words[from..at]);
                    from = at + 1;
                }
                _ => {}
            }
        }
        if depth > 0 {
            return Err(error(self.line, "unclosed left paren"));
        }
        parts.push(&words[from..]);
        Ok(parts)
    }

    fn operands(&mut self, words: &[Word]) -> Result<Vec<Operand>, ParseError> {
        let (mut operands, mut at) = (Vec::new(), 0);
        while let Some(word) = words.get(at) {
            if at > 0 && !word.apart && word.token != Token::Open {
                return Err(error(self.line, "a blank is missing between two values"));
            }
            let mut operand = match &word.token {
                Token::Open => {
                    let close = closing(words, at);
                    self.deeper()?;
                    let inner = self.pipeline(&words[at + 1..close], Place::Group)?;
                    self.depth -= 1;
                    at = close;
                    Operand::Group(Box::new(inner), Vec::new())
                }
                token => self.single(token)?,
            };
            at += 1;
            while let Some(Word { token: Token::Field(name), apart: false }) = words.get(at) {
                self.chain(&mut operand, name)?;
                at += 1;
            }
            operands.push(operand);
        }
        Ok(operands)
    }

    fn single(&self, token: &Token) -> Result<Operand, ParseError> {
        Ok(match token {
            Token::Dot => Operand::Dot,
            Token::Field(name) => Operand::Fields(vec![name.clone()]),
            Token::Text(text) => Operand::Constant(text.clone().into()),
            Token::Number(number) => Operand::Constant(Value::Number(Number::clone(number))),
            Token::Variable(name) if self.names.contains(name) => {
                Operand::Variable(name.clone(), Vec::new())
            }
            Token::Variable(name) => {
                return Err(error(self.line, format!("undefined variable \"${name}\"")));
            }
            Token::Name(name) => match name.as_str() {
                "true" => Operand::Constant(true.into()),
                "false" => Operand::Constant(false.into()),
                "nil" => Operand::Constant(Value::Null),
                _ => Operand::Function(name.clone()),
            },
            _ => return Err(error(self.line, "unexpected sign in an action")),
        })
    }

    fn chain(&self, operand: &mut Operand, name: &str) -> Result<(), ParseError> {
        match operand {
            Operand::Fields(names) | Operand::Variable(_, names) | Operand::Group(_, names) => {
                names.push(name.to_owned());
                Ok(())
            }
            _ => Err(error(self.line, format!("unexpected .{name}"))),
        }
    }
}

/// Where a pipeline stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Action,
    Range,
    Group,
}

fn block_kind(word: &str) -> Option<BlockKind> {
    match word {
        "if" => Some(BlockKind::If),
        "with" => Some(BlockKind::With),
        "range" => Some(BlockKind::Range),
        _ => None,
    }
}

/// Where the parenthesis at `open` ends; [`Parser::split`] has seen that it does.
fn closing(words: &[Word], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, word) in words.iter().enumerate().skip(open) {
        match word.token {
            Token::Open => depth += 1,
            Token::Close => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    words.len()
}

pub(crate) fn fields(nodes: &[Node]) -> Vec<String> {
    let mut found = Vec::new();
    for node in nodes {
        match node {
            Node::Text(_) => {}
            Node::Action(pipeline) => fields_of(pipeline, &mut found),
            Node::Block(block) => {
                found.extend(fields(&block.body));
                found.extend(fields(&block.otherwise));
            }
        }
    }
    found
}

fn fields_of(pipeline: &Pipeline, found: &mut Vec<String>) {
    for operand in pipeline.commands.iter().flat_map(|command| &command.0) {
        match operand {
            Operand::Fields(names) => found.push(names.join(".")),
            Operand::Group(inner, _) => fields_of(inner, found),
            _ => {}
        }
    }
}
