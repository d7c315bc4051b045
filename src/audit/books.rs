//! The participants' books beside the log, and what is said of them.

use std::path::{Path, PathBuf};

use retailflow_engine::ports::Role;
use retailflow_engine::wire::report::{BookBehind, BookSums, BooksReport, InvariantResult};
use retailflow_engine::wire::time::format_time;
use retailflow_invariants::{InvariantId, LogCheck, LogChecker, SidesCheck};
use retailflow_participants::{BookEnd, problems, read_books};

use super::Progress;
use retailflow_server::participants;

/// Differences that are told one by one.
const TOLD_MAX: usize = 20;

/// The books beside a data directory.
pub(super) struct BooksSide {
    folder: PathBuf,
    ends: [BookEnd; Role::ALL.len()],
    /// What is wrong with books that cannot be read; then nothing is compared.
    unreadable: Vec<String>,
}

impl BooksSide {
    /// `None` where participants keep no books.
    pub(super) fn beside(data: &Path) -> Option<Self> {
        let folder = participants::folder(data);
        folder.exists().then(|| Self {
            folder,
            ends: [BookEnd::default(); Role::ALL.len()],
            unreadable: Vec::new(),
        })
    }

    /// Compares the orders of a checker's pass.
    pub(super) fn compare(&mut self, checker: &mut LogChecker, progress: &mut Progress) -> SidesCheck {
        if !self.unreadable.is_empty() {
            return SidesCheck::default();
        }
        let (mut comparison, mut lines) = (checker.comparison(), 0);
        let ends = read_books(&self.folder, &mut |entry| {
            lines += 1;
            progress.books(lines);
            comparison.take(&entry);
        });
        match ends {
            Ok(ends) => self.ends = ends,
            Err(first) => {
                // All of them: who mends one book must not be told of the next one only then.
                let problems = problems(&self.folder).into_iter().map(|(_, error)| error.to_string());
                self.unreadable = problems.collect();
                if self.unreadable.is_empty() {
                    self.unreadable.push(first.to_string());
                }
                return SidesCheck::default();
            }
        }
        comparison.end()
    }

    /// Both sides, and the invariant that they agree.
    pub(super) fn conclude(
        &self,
        check: &LogCheck,
        sides: &SidesCheck,
    ) -> (Option<BooksReport>, Option<InvariantResult>) {
        if !self.unreadable.is_empty() {
            let detail = format!("not compared: {}", self.unreadable.join("; "));
            let id = InvariantId::Sides.as_str().to_owned();
            return (None, Some(InvariantResult { id, held: false, not_compared: false, detail }));
        }
        let differences = sides.named.iter().take(TOLD_MAX).map(|difference| {
            let order = difference.order.as_ref().map_or_else(|| "unknown".into(), ToString::to_string);
            format!("order {order}: {}", difference.what)
        });
        let behind = Role::ALL.into_iter().filter_map(|role| {
            let book = sides.books[role as usize];
            (book.behind > 0).then(|| BookBehind {
                participant: role.as_str().to_owned(),
                orders: book.behind,
                last_line_at: book.last_at.map(format_time),
            })
        });
        let (ours, theirs) = (ours(check), theirs(sides));
        let sums_differ = ours.differs_from(&theirs);
        // Sums that differ while nothing is on its way are a difference, whichever order it is in.
        let agree = sides.agrees() && !(sums_differ && sides.under_way == 0);
        let report = BooksReport {
            ours,
            theirs,
            sums_differ,
            agree,
            compared: sides.compared,
            under_way: sides.under_way,
            differing: sides.differing,
            in_books_only: sides.in_books_only,
            behind: behind.collect(),
            differences: differences.collect(),
            compensations: check.effects.values().map(|sums| sums.compensations).sum(),
            ..BooksReport::default()
        };
        let not_compared = report.agree && sides.under_way > 0;
        let result = InvariantResult {
            id: InvariantId::Sides.as_str().to_owned(),
            held: report.agree && !not_compared,
            not_compared,
            detail: self.detail(sides, &report),
        };
        (Some(report), Some(result))
    }

    fn detail(&self, sides: &SidesCheck, report: &BooksReport) -> String {
        let mut parts = vec![format!(
            "{} orders compared in full with {} entries in their books",
            sides.compared,
            sides.entries()
        )];
        if sides.under_way > 0 {
            parts.push(format!("{} on their way: their running step was not compared", sides.under_way));
        }
        if report.sums_differ {
            parts.push(match sides.under_way {
                0 => "the sums of both sides differ".to_owned(),
                _ => "the sums of both sides differ, as far as can be told by their running steps alone"
                    .to_owned(),
            });
        }
        if sides.differing > 0 {
            parts.push(format!("{} orders differ", sides.differing));
        }
        if sides.in_books_only > 0 {
            parts.push(format!("{} orders stand in their books alone", sides.in_books_only));
        }
        if sides.keys_run_twice > 0 {
            parts.push(format!("{} keys were run twice", sides.keys_run_twice));
        }
        for book in &report.behind {
            let since = book
                .last_line_at
                .as_ref()
                .map_or_else(|| "it has no line".to_owned(), |last| format!("its last line is of {last}"));
            parts.push(format!(
                "the book of {} is behind: it lacks steps of {} orders that it said were done, {since}",
                book.participant, book.orders
            ));
        }
        for (role, end) in Role::ALL.into_iter().zip(self.ends) {
            if end.torn_bytes > 0 {
                let text = format!(
                    "the book of {} ends in {} torn bytes, which are no part of it",
                    role.as_str(),
                    end.torn_bytes
                );
                parts.push(text);
            }
        }
        if let Some(first) = report.differences.first() {
            parts.push(format!("the first: {first}"));
        }
        parts.join("; ")
    }
}

/// What is said where there are no books: not that they agree.
pub(super) fn none(data: Option<&Path>) -> Option<InvariantResult> {
    data.map(|data| InvariantResult {
        id: InvariantId::Sides.as_str().to_owned(),
        held: false,
        not_compared: true,
        detail: format!("not compared: there are no books in {}", participants::folder(data).display()),
    })
}

fn clamped(minor: i128) -> i64 {
    i64::try_from(minor).unwrap_or(i64::MAX)
}

fn ours(check: &LogCheck) -> BookSums {
    let mut sums = BookSums::default();
    for (currency, of) in check.effects.iter().filter(|(currency, _)| !currency.trim_matches('\0').is_empty())
    {
        sums.captured_minor.insert(currency.clone(), clamped(of.captured_minor));
        sums.refunded_minor.insert(currency.clone(), clamped(of.refunded_minor));
        sums.reserved_units += of.reserved_units;
        sums.booked_units += of.booked_units;
        sums.restocked_units += of.restocked_units;
    }
    sums.orders_without_payment = check.orders_without_payment;
    sums
}

fn theirs(sides: &SidesCheck) -> BookSums {
    let mut sums = BookSums::default();
    for (currency, money) in &sides.money {
        sums.captured_minor.insert(currency.code().to_owned(), clamped(money.captured));
        sums.refunded_minor.insert(currency.code().to_owned(), clamped(money.refunded));
    }
    let units = |net: i64| u64::try_from(net).unwrap_or(0);
    sums.reserved_units = units(sides.reserved_units);
    sums.booked_units = units(sides.booked_units);
    sums.restocked_units = units(sides.restocked_units);
    sums.orders_without_payment = sides.orders_without_payment;
    sums
}
