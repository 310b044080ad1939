//! CEL expressions in policies: checked when they are read, bounded when they are evaluated.
//!
//! An expression sees `finding`, `pkg` and `image` (rules about findings) or `image` alone (rules about
//! the image), and may call a closed list of functions. Loops over lists may not stand inside each other, so
//! that the work is bounded by the facts. What fails, or gives something else than true or false, is unsure.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use cel::{Context, Env, Program, Value};

use super::horizon::Horizon;
use super::rule::{Match, Seen};
use super::values::{self, ImageValues};

/// The longest expression, in bytes.
pub(super) const LONGEST: usize = 2000;
/// The deepest nesting of an expression.
const DEEPEST: usize = 64;
/// The largest compiled regular expression, in bytes.
const LARGEST_REGEX: usize = 1 << 18;

static STDLIB: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// Functions that an expression may call, besides operators.
const FUNCTIONS: [&str; 9] =
    ["size", "contains", "startsWith", "endsWith", "matches", "string", "int", "double", "dyn"];
const OPERATORS: [&str; 18] = [
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::NEGATE,
    operators::INDEX,
    operators::IN,
];
/// Operators that never give true or false.
const NOT_BOOLEAN: [&str; 6] = [
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::NEGATE,
];

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Expression {
    text: String,
    program: Arc<Program>,
    /// It looks at ages, which change with time alone.
    timed: bool,
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// What an expression may look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// `finding`, `pkg` and `image`.
    Findings,
    /// `image`.
    Image,
}

/// Why an expression is refused, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column} of the expression: {reason}")]
pub struct ExpressionError {
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// What is wrong and how to repair it.
    pub reason: String,
}

impl Expression {
    /// Compiles and checks an expression.
    pub fn compile(text: &str, sight: Sight) -> Result<Self, ExpressionError> {
        let at_start = |reason: String| ExpressionError { line: 1, column: 1, reason };
        if text.len() > LONGEST {
            return Err(at_start(format!("more than {LONGEST} bytes")));
        }
        if text.trim().is_empty() {
            return Err(at_start("it is empty".to_owned()));
        }
        let compiled = catch_unwind(AssertUnwindSafe(|| STDLIB.compile(text)))
            .map_err(|_| at_start("it cannot be parsed".to_owned()))?;
        let program = compiled.map_err(|errors| match errors.errors.into_iter().next() {
            Some(error) => ExpressionError {
                line: usize::try_from(error.pos.0).unwrap_or(1).max(1),
                column: usize::try_from(error.pos.1).unwrap_or(1).max(1),
                reason: error.msg,
            },
            None => at_start("it cannot be parsed".to_owned()),
        })?;
        let mut check = Check { text, program: &program, sight, names: Vec::new(), timed: false };
        check.expression(program.expression(), 0, Loop::Outside)?;
        check.gives_truth(program.expression())?;
        let timed = check.timed;
        Ok(Self { text: text.to_owned(), program: Arc::new(program), timed })
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn holds(
        &self,
        image: &ImageValues<'_>,
        seen: Option<&Seen<'_>>,
        horizon: &mut Horizon,
    ) -> Match {
        if self.timed {
            image.note_ages(horizon);
        }
        let mut context = Context::with_env(Arc::clone(&STDLIB));
        context.add_variable_from_value("image", image.value());
        if let Some(seen) = seen {
            if self.timed {
                values::note_ages(seen.finding, horizon);
            }
            let (finding, package) = seen.values.of(seen, image.now());
            context.add_variable_from_value("finding", finding);
            context.add_variable_from_value("pkg", package);
        }
        match catch_unwind(AssertUnwindSafe(|| self.program.execute(&context))) {
            Ok(Ok(Value::Bool(holds))) => Match::of(holds),
            Ok(Ok(other)) => doubt(&format!("gives {} instead of true or false", other.type_of())),
            Ok(Err(error)) => doubt(&format!("fails: {}", shortened(&error.to_string()))),
            Err(_) => doubt("breaks down"),
        }
    }
}

fn doubt(what: &str) -> Match {
    Match::Unsure(Cow::Owned(format!("its expression {what}")))
}

fn shortened(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(160).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Loop {
    Outside,
    Inside,
}

struct Check<'a> {
    text: &'a str,
    program: &'a Program,
    sight: Sight,
    /// Variables of the loops around.
    names: Vec<&'a str>,
    timed: bool,
}

impl<'a> Check<'a> {
    fn refused(&self, at: &IdedExpr, reason: impl Into<String>) -> ExpressionError {
        let offset = self.program.source_info().offset_for(at.id).map_or(0, |(start, _)| start as usize);
        let before: Vec<char> = self.text.chars().take(offset).collect();
        let line = before.iter().filter(|character| **character == '\n').count() + 1;
        let column = before.iter().rev().take_while(|character| **character != '\n').count();
        ExpressionError { line, column: column + 1, reason: reason.into() }
    }

    fn expression(&mut self, at: &'a IdedExpr, depth: usize, inside: Loop) -> Result<(), ExpressionError> {
        if depth > DEEPEST {
            return Err(self.refused(at, format!("nested deeper than {DEEPEST}")));
        }
        match &at.expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => {
                // Somebody looks at a whole table; then ages may be in what he sees.
                self.timed |= name == "finding" || name == "image";
                self.variable(at, name)
            }
            Expr::Select(select) => {
                if let Expr::Ident(name) = &select.operand.expr {
                    self.variable(&select.operand, name)?;
                    return self.field(at, name, &select.field);
                }
                self.expression(&select.operand, depth + 1, inside)
            }
            Expr::Call(call) => {
                self.function(at, &call.func_name)?;
                if call.func_name == "matches" {
                    self.regex(at, call.args.last())?;
                }
                let operands = call.target.as_deref().into_iter().chain(&call.args);
                operands.into_iter().try_for_each(|one| self.expression(one, depth + 1, inside))
            }
            Expr::List(list) => {
                list.elements.iter().try_for_each(|one| self.expression(one, depth + 1, inside))
            }
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.expression(&entry.key, depth + 1, inside)?;
                    self.expression(&entry.value, depth + 1, inside)
                }
                EntryExpr::StructField(field) => self.expression(&field.value, depth + 1, inside),
            }),
            Expr::Struct(_) => Err(self.refused(at, "there are no types to make values of")),
            Expr::Comprehension(_) if inside == Loop::Inside => {
                Err(self.refused(at, "a loop inside a loop; write two expressions in two rules"))
            }
            Expr::Comprehension(looped) => {
                self.expression(&looped.iter_range, depth + 1, inside)?;
                let known = self.names.len();
                self.names.push(&looped.iter_var);
                self.names.extend(looped.iter_var2.as_deref());
                self.names.push(&looped.accu_var);
                for part in [&looped.accu_init, &looped.loop_cond, &looped.loop_step, &looped.result] {
                    self.expression(part, depth + 1, Loop::Inside)?;
                }
                self.names.truncate(known);
                Ok(())
            }
        }
    }

    fn variable(&self, at: &IdedExpr, name: &str) -> Result<(), ExpressionError> {
        let known = match name {
            "image" => true,
            "finding" | "pkg" => self.sight == Sight::Findings,
            other => self.names.contains(&other),
        };
        if known {
            return Ok(());
        }
        Err(self.refused(
            at,
            match self.sight {
                Sight::Findings => format!("there is no {name}; expected finding, pkg or image"),
                Sight::Image => format!("there is no {name} here; expected image"),
            },
        ))
    }

    fn field(&mut self, at: &IdedExpr, table: &str, field: &str) -> Result<(), ExpressionError> {
        if self.names.contains(&table) {
            return Ok(());
        }
        let fields = match table {
            "finding" => values::FINDING,
            "pkg" => values::PACKAGE,
            "image" => values::IMAGE,
            _ => return Ok(()),
        };
        self.timed |= field.ends_with("_days");
        if fields.contains(&field) {
            return Ok(());
        }
        Err(self.refused(at, format!("{table} has no {field}; it has {}", fields.join(", "))))
    }

    fn function(&self, at: &IdedExpr, name: &str) -> Result<(), ExpressionError> {
        if OPERATORS.contains(&name) || FUNCTIONS.contains(&name) || name == operators::NOT_STRICTLY_FALSE {
            return Ok(());
        }
        let known = FUNCTIONS.join(", ");
        Err(self.refused(
            at,
            format!(
                "there is no function {name}; known are {known}, has, all, exists, exists_one, filter, map"
            ),
        ))
    }

    fn regex(&self, at: &IdedExpr, pattern: Option<&IdedExpr>) -> Result<(), ExpressionError> {
        let Some(Expr::Literal(LiteralValue::String(pattern))) = pattern.map(|one| &one.expr) else {
            return Err(self.refused(at, "the pattern of matches has to be written out"));
        };
        let compiled = regex::RegexBuilder::new(pattern.inner()).size_limit(LARGEST_REGEX).build();
        compiled.map(drop).map_err(|error| self.refused(at, error.to_string().replace('\n', " ")))
    }

    /// Refuses what can be seen at once to be no question.
    fn gives_truth(&self, at: &IdedExpr) -> Result<(), ExpressionError> {
        let is_question = match &at.expr {
            Expr::Literal(literal) => matches!(literal, LiteralValue::Boolean(_)),
            Expr::List(_) | Expr::Map(_) | Expr::Struct(_) => false,
            Expr::Call(call) => {
                let name = call.func_name.as_str();
                !NOT_BOOLEAN.contains(&name) && !["size", "string", "int", "double"].contains(&name)
            }
            Expr::Select(select) => {
                select.test
                    || !matches!(&select.operand.expr, Expr::Ident(_))
                    || values::BOOLEAN.contains(&select.field.as_str())
            }
            Expr::Ident(name) => self.names.contains(&name.as_str()),
            Expr::Unspecified | Expr::Comprehension(_) => true,
        };
        if is_question { Ok(()) } else { Err(self.refused(at, "gives neither true nor false")) }
    }
}
