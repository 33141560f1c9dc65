//! Lists that are printed page by page.

use mortise::limits::MAX_PAGE_RECORDS;

use crate::exit_code::CliError;
use crate::output::Output;

/// So many empty pages in a row have no end: a backend that keeps the contract does not answer them.
const MAX_EMPTY_PAGES: u32 = 1_000;

/// How much of a list is printed.
#[derive(Debug, clap::Args)]
pub struct Paging {
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// All of them
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Goes on after an earlier list of the same in the same order
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
}

impl Paging {
    /// The pages to print.
    pub fn pages(self) -> Pages {
        Pages {
            after: self.after,
            left: (!self.all).then_some(self.limit),
            ended: false,
            empty: 0,
        }
    }
}

/// A list, as it is printed.
pub struct Pages {
    /// Where the next page starts.
    pub after: Option<String>,
    /// How many may still be printed; none for all.
    left: Option<u64>,
    ended: bool,
    empty: u32,
}

impl Pages {
    /// All of a list.
    pub fn all() -> Self {
        Self {
            after: None,
            left: None,
            ended: false,
            empty: 0,
        }
    }

    /// The limit of the next page; none where there is no more to print, or nobody reads it.
    pub fn limit(&self, output: &Output) -> Option<u32> {
        let left = self.left.unwrap_or(u64::MAX);
        let limit = left.min(u64::from(MAX_PAGE_RECORDS)) as u32;
        (limit > 0 && !self.ended && !output.is_closed()).then_some(limit)
    }

    /// A page was printed; the list goes on at `next`.
    pub fn turn(&mut self, printed: usize, next: Option<String>) -> anyhow::Result<()> {
        self.left = self.left.map(|left| left.saturating_sub(printed as u64));
        self.ended = next.is_none();
        self.after = next;
        self.empty = if printed == 0 { self.empty + 1 } else { 0 };
        if self.empty <= MAX_EMPTY_PAGES {
            return Ok(());
        }
        let message = "the backend answers one empty page after another";
        let hint = "check it with `mortise plugin test`";
        Err(CliError::backend_fault(message, hint).into())
    }

    /// The end of what was printed: says where the list goes on, if it does.
    pub fn end(self, output: &mut Output) -> anyhow::Result<()> {
        match output.is_closed() {
            true => Ok(()),
            false => output.more(self.after.as_deref()),
        }
    }
}
