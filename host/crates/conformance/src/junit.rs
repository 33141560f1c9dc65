//! A report as JUnit XML, which most CI systems show.

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::report::{ClauseResult, Report, Verdict};
use mortise_store::inside::ErrorInside as _;
use mortise_store::{Error, ErrorKind, Operation, Result};

impl Report {
    /// The report as JUnit XML: a suite for each group, a test case for each clause.
    ///
    /// # Errors
    ///
    /// `Internal`: it makes no XML, which no report is known to.
    pub fn to_junit(&self) -> Result<String> {
        let name = format!("{} {}", self.description.name, self.description.version);
        let mut xml = quick_junit::Report::new(name);
        xml.set_time(self.results.iter().map(|result| result.duration).sum());
        for results in self
            .results
            .chunk_by(|one, next| one.clause.group() == next.clause.group())
        {
            let mut suite = TestSuite::new(results[0].clause.group());
            suite.set_time(results.iter().map(|result| result.duration).sum());
            suite.add_test_cases(results.iter().map(test_case));
            xml.add_test_suite(suite);
        }
        xml.to_string().map_err(|error| {
            let message = "the report makes no XML";
            Error::new(ErrorKind::Internal, Operation::Configure, message).with_source(error)
        })
    }
}

fn test_case(result: &ClauseResult) -> TestCase {
    let clause = result.clause;
    let status = match &result.verdict {
        Verdict::Held => TestCaseStatus::success(),
        Verdict::Failed(found) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(clause.sentence());
            status.set_description(found.as_str());
            status
        }
        Verdict::Skipped(why) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(why.as_str());
            status
        }
    };
    let mut case = TestCase::new(clause.id(), status);
    case.set_classname(clause.group());
    case.set_time(result.duration);
    case
}
