//! The one table that is printed at the end.

use std::fmt::Write as _;

/// Rows in the order in which they were measured.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

struct Row {
    what: String,
    measured: String,
    against: String,
    budget: Option<Budget>,
    value: f64,
}

/// What a figure should be.
#[derive(Clone, Copy)]
pub(crate) enum Budget {
    /// This or less.
    AtMost(f64, &'static str),
    /// This or more.
    AtLeast(f64, &'static str),
}

impl Budget {
    fn is_kept(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit, _) => value <= limit,
            Self::AtLeast(limit, _) => value >= limit,
        }
    }

    fn describe(self) -> String {
        match self {
            Self::AtMost(limit, unit) => format!("≤ {limit} {unit}"),
            Self::AtLeast(limit, unit) => format!("≥ {limit} {unit}"),
        }
    }
}

impl Table {
    /// A figure with a budget. `against` is what it was compared with in the same run.
    pub(crate) fn judged(&mut self, what: &str, value: f64, against: impl Into<String>, budget: Budget) {
        let unit = match budget {
            Budget::AtMost(_, unit) | Budget::AtLeast(_, unit) => unit,
        };
        let measured = format!("{} {unit}", rounded(value));
        self.add(Row {
            what: what.to_owned(),
            measured,
            against: against.into(),
            budget: Some(budget),
            value,
        });
    }

    /// A figure that nobody has promised.
    pub(crate) fn told(&mut self, what: &str, measured: impl Into<String>) {
        let row = Row {
            what: what.to_owned(),
            measured: measured.into(),
            against: String::new(),
            budget: None,
            value: 0.0,
        };
        self.add(row);
    }

    fn add(&mut self, row: Row) {
        // A run takes minutes: whoever watches sees each figure when it is there.
        eprintln!("   {}: {} {}", row.what, row.measured, row.against);
        self.rows.push(row);
    }

    /// Prints it as a Markdown table.
    pub(crate) fn print(&self) {
        let mut text = String::from("\n| what | measured | beside | budget | |\n|---|---|---|---|---|\n");
        for Row { what, measured, against, budget, value } in &self.rows {
            let (promise, kept) = match budget {
                Some(budget) => {
                    (budget.describe(), if budget.is_kept(*value) { "kept" } else { "**missed**" })
                }
                None => ("–".to_owned(), ""),
            };
            writeln!(text, "| {what} | {measured} | {against} | {promise} | {kept} |")
                .expect("a string takes everything");
        }
        println!("{text}");
    }
}

fn rounded(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}
