//! Walks a template's tree over a value.
//!
//! Every value that comes up is paid for from a budget, by its size: a short template can ask for
//! endless work, or double a text until no memory is left.

use std::borrow::Cow;

use serde_json::Value;

use crate::functions::Missing;
use crate::parse::{Block, BlockKind, Command, Node, Operand, Pipeline};
use crate::{Functions, MAX_OUTPUT, RenderError, show};

pub(crate) fn render(
    nodes: &[Node],
    data: &Value,
    functions: &Functions<'_>,
) -> Result<String, RenderError> {
    let variables = vec![(String::new(), data.clone())];
    let mut eval = Eval { functions, variables, out: String::new(), spent: 0 };
    eval.nodes(nodes, data)?;
    Ok(eval.out)
}

static NOTHING: Value = Value::Null;

struct Eval<'a> {
    functions: &'a Functions<'a>,
    /// In scope, innermost last.
    variables: Vec<(String, Value)>,
    out: String,
    /// Weight of all values so far.
    spent: usize,
}

impl Eval<'_> {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<(), RenderError> {
        for node in nodes {
            match node {
                Node::Text(text) => self.write(text)?,
                Node::Action(pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    if pipeline.names.is_empty() {
                        self.write(&show::top(&value))?;
                    }
                }
                Node::Block(block) => {
                    let scope = self.variables.len();
                    self.block(block, dot)?;
                    self.variables.truncate(scope);
                }
            }
        }
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<(), RenderError> {
        if self.out.len() + text.len() > MAX_OUTPUT {
            return Err(RenderError::TooLong);
        }
        self.out.push_str(text);
        Ok(())
    }

    /// Pays for a value, by [`show::weight`].
    fn paid(&mut self, value: Value) -> Result<Value, RenderError> {
        self.spent = self.spent.saturating_add(show::weight(&value));
        if self.spent > self.functions.work { Err(RenderError::TooMuch) } else { Ok(value) }
    }

    fn block(&mut self, block: &Block, dot: &Value) -> Result<(), RenderError> {
        if block.kind == BlockKind::Range {
            return self.range(block, dot);
        }
        let value = self.pipeline(&block.pipeline, dot)?;
        match (show::truth(&value), block.kind) {
            (false, _) => self.nodes(&block.otherwise, dot),
            (true, BlockKind::With) => self.nodes(&block.body, &value),
            (true, _) => self.nodes(&block.body, dot),
        }
    }

    fn range(&mut self, block: &Block, dot: &Value) -> Result<(), RenderError> {
        let pipeline = &block.pipeline;
        let over = self.commands(&pipeline.commands, dot)?;
        let items: Vec<(Value, Value)> = match &over {
            Value::Null => Vec::new(),
            Value::Array(items) => {
                items.iter().enumerate().map(|(at, item)| (at.into(), item.clone())).collect()
            }
            Value::Object(fields) => show::sorted(fields)
                .into_iter()
                .map(|key| (key.clone().into(), fields[key].clone()))
                .collect(),
            other => {
                return Err(RenderError::Misuse(format!(
                    "range can't go over {}",
                    show::kind(other)
                )));
            }
        };
        if items.is_empty() {
            return self.nodes(&block.otherwise, dot);
        }
        for (key, item) in items {
            let scope = self.variables.len();
            match pipeline.names.as_slice() {
                [] => {}
                [only] => self.set(only, item.clone(), pipeline.assigns),
                [first, second, ..] => {
                    self.set(first, key, pipeline.assigns);
                    self.set(second, item.clone(), pipeline.assigns);
                }
            }
            self.nodes(&block.body, &item)?;
            self.variables.truncate(scope);
        }
        Ok(())
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, RenderError> {
        let value = self.commands(&pipeline.commands, dot)?;
        for name in &pipeline.names {
            self.set(name, value.clone(), pipeline.assigns);
        }
        Ok(value)
    }

    fn set(&mut self, name: &str, value: Value, assigns: bool) {
        let known = self.variables.iter_mut().rev().find(|(known, _)| assigns && known == name);
        match known {
            Some((_, old)) => *old = value,
            None => self.variables.push((name.to_owned(), value)),
        }
    }

    fn commands(&mut self, commands: &[Command], dot: &Value) -> Result<Value, RenderError> {
        let mut piped = None;
        for command in commands {
            piped = Some(self.command(command, dot, piped)?);
        }
        Ok(piped.unwrap_or(Value::Null))
    }

    fn command(
        &mut self,
        Command(operands): &Command,
        dot: &Value,
        piped: Option<Value>,
    ) -> Result<Value, RenderError> {
        let Some((head, rest)) = operands.split_first() else { return Ok(Value::Null) };
        if let Operand::Function(name) = head {
            if let "and" | "or" = name.as_str() {
                return self.shortest(name == "or", rest, dot, piped);
            }
            let args = self.args(rest, dot, piped)?;
            let made = self.functions.call(name, &args)?;
            return self.paid(made);
        }
        let args = self.args(rest, dot, piped)?;
        if args.is_empty() {
            return self.operand(head, dot);
        }
        let made = self.method(head, dot, &args)?;
        self.paid(made)
    }

    /// `and` and `or` look at no more than they need.
    fn shortest(
        &mut self,
        until: bool,
        operands: &[Operand],
        dot: &Value,
        piped: Option<Value>,
    ) -> Result<Value, RenderError> {
        let mut last = None;
        for operand in operands {
            let value = self.operand(operand, dot)?;
            if show::truth(&value) == until {
                return Ok(value);
            }
            last = Some(value);
        }
        let name = if until { "or" } else { "and" };
        piped.or(last).ok_or_else(|| RenderError::Call {
            function: name.to_owned(),
            why: "wants at least one value".to_owned(),
        })
    }

    fn args(
        &mut self,
        operands: &[Operand],
        dot: &Value,
        piped: Option<Value>,
    ) -> Result<Vec<Value>, RenderError> {
        let mut args = Vec::with_capacity(operands.len() + 1);
        for operand in operands {
            args.push(self.operand(operand, dot)?);
        }
        args.extend(piped);
        Ok(args)
    }

    /// `.A.Name arg`: a method of what `.A` is.
    fn method(
        &mut self,
        head: &Operand,
        dot: &Value,
        args: &[Value],
    ) -> Result<Value, RenderError> {
        let not_callable = || {
            RenderError::Misuse("can't give arguments to a value that is no function".to_owned())
        };
        let (receiver, fields) = match head {
            Operand::Fields(fields) => (Cow::Borrowed(dot), fields),
            Operand::Variable(name, fields) => (Cow::Owned(self.variable(name)), fields),
            Operand::Group(inner, fields) => (Cow::Owned(self.pipeline(inner, dot)?), fields),
            _ => return Err(not_callable()),
        };
        let (name, path) = fields.split_last().ok_or_else(not_callable)?;
        let receiver = self.walk(receiver.into_owned(), path)?;
        self.functions.method(name, &receiver, args).unwrap_or_else(|| Err(not_callable()))
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, RenderError> {
        let value = match operand {
            Operand::Dot => dot.clone(),
            Operand::Constant(value) => value.clone(),
            Operand::Function(name) => self.functions.call(name, &[])?,
            Operand::Fields(fields) => self.fields(dot, fields)?,
            Operand::Variable(name, fields) => {
                let value = self.variable(name);
                self.walk(value, fields)?
            }
            Operand::Group(inner, fields) => {
                let value = self.pipeline(inner, dot)?;
                self.walk(value, fields)?
            }
        };
        self.paid(value)
    }

    /// The parser has seen that it is in scope.
    fn variable(&self, name: &str) -> Value {
        let found = self.variables.iter().rev().find(|(known, _)| known == name);
        found.map_or(Value::Null, |(_, value)| value.clone())
    }

    fn walk(&self, value: Value, fields: &[String]) -> Result<Value, RenderError> {
        if fields.is_empty() { Ok(value) } else { self.fields(&value, fields) }
    }

    fn fields(&self, value: &Value, fields: &[String]) -> Result<Value, RenderError> {
        let mut value = Cow::Borrowed(value);
        for field in fields {
            value = match self.functions.method(field, &value, &[]) {
                Some(made) => Cow::Owned(made?),
                None => self.field(value, field)?,
            };
        }
        Ok(value.into_owned())
    }

    fn field<'v>(&self, of: Cow<'v, Value>, field: &str) -> Result<Cow<'v, Value>, RenderError> {
        if show::field(&of, field).is_none() {
            return self.missing(&of, field).map(Cow::Owned);
        }
        Ok(match of {
            Cow::Borrowed(value) => Cow::Borrowed(show::field(value, field).unwrap_or(&NOTHING)),
            Cow::Owned(value) => {
                Cow::Owned(show::field(&value, field).cloned().unwrap_or_default())
            }
        })
    }

    fn missing(&self, of: &Value, field: &str) -> Result<Value, RenderError> {
        let is_map = of.is_object() && !show::is_structure(of);
        if is_map && self.functions.missing == Missing::Empty {
            return Ok(Value::Null);
        }
        let known = show::names(of);
        Err(RenderError::NoField { field: field.to_owned(), of: show::kind(of), known })
    }
}
