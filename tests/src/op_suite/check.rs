use std::{collections::BTreeMap, error::Error, fmt};

use egom2p_graph::{Literal, interpreter::interpret};

use super::{Case, cases};

/// Something that runs graphs: export with an engine, another interpreter of graphs.
pub trait Runs {
    /// Its name in reports.
    fn name(&self) -> String;

    /// Runs the case's graph on its inputs and parameters; outputs by name.
    fn run(&self, case: &Case) -> Result<Vec<(String, Literal)>, Box<dyn Error>>;
}

/// A case that a backend is not asked to do.
#[derive(Clone, Copy, Debug)]
pub struct Ignore {
    /// The case's name, or the beginning of several up to a slash, such as `bf16/`.
    pub case: &'static str,
    /// Why the backend need not do it.
    pub reason: &'static str,
}

/// What came of a backend's run through the suite.
#[derive(Default, Debug)]
pub struct Report {
    /// The backend.
    pub backend: String,
    /// How many cases agreed.
    pub passed: usize,
    /// The cases left out, each with what leaves it out.
    pub ignored: Vec<(String, Ignore)>,
    /// What went wrong, with the name of the case.
    pub failures: Vec<String>,
    /// Per tolerance, the largest difference in units of what it allows, and the case.
    pub largest: BTreeMap<&'static str, (f64, String)>,
}

/// Runs every case of [`cases::all`] but the ignored ones. An ignored name that no case has is a failure as well.
pub fn check_backend(backend: &dyn Runs, ignores: &[Ignore]) -> Report {
    let cases = cases::all();
    let mut report = Report { backend: backend.name(), ..Report::default() };
    for ignore in ignores {
        if !cases.iter().any(|case| ignore.covers(case)) {
            report.failures.push(format!("{}: ignored, but no case has this name", ignore.case));
        }
    }
    for case in &cases {
        if let Some(ignore) = ignores.iter().find(|ignore| ignore.covers(case)) {
            report.ignored.push((case.name.clone(), *ignore));
            continue;
        }
        match check_case(backend, case) {
            Ok(share) => {
                report.passed += 1;
                let largest = report.largest.entry(case.tolerance.name).or_insert_with(|| (share, case.name.clone()));
                if share > largest.0 {
                    *largest = (share, case.name.clone());
                }
            }
            Err(reason) => report.failures.push(format!("{}: {reason}", case.name)),
        }
    }
    report
}

/// Runs one case: its largest difference in units of what its tolerance allows, or what went wrong.
pub fn check_case(backend: &dyn Runs, case: &Case) -> Result<f64, String> {
    let expected = interpret(&case.graph, &case.inputs, case.parameters.as_ref())
        .map_err(|error| format!("the interpreter refuses: {error}"))?;
    let actual = backend.run(case).map_err(|error| error.to_string())?;
    if actual.len() != expected.len() {
        return Err(format!("expected {} outputs, got {}", expected.len(), actual.len()));
    }
    let mut largest = 0.0_f64;
    for (name, expected) in &expected {
        let (_, actual) = actual.iter().find(|(given, _)| given == name).ok_or(format!("no output called {name}"))?;
        largest = largest.max(case.tolerance.share(expected, actual)?);
    }
    Ok(largest)
}

impl Ignore {
    fn covers(&self, case: &Case) -> bool {
        case.name == self.case || (self.case.ends_with('/') && case.name.starts_with(self.case))
    }
}

impl Report {
    /// Whether every case that was not ignored agreed.
    pub fn is_clean(&self) -> bool {
        self.failures.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { backend, passed, ignored, failures, largest } = self;
        writeln!(f, "{backend}: {passed} agree, {} ignored, {} fail", ignored.len(), failures.len())?;
        for (tolerance, (share, case)) in largest {
            writeln!(f, "  {tolerance}: at most {share:.3} of the tolerance, in {case}")?;
        }
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for (_, Ignore { case, reason }) in ignored {
            *counts.entry((case, reason)).or_default() += 1;
        }
        for ((case, reason), count) in counts {
            writeln!(f, "  ignored {case} ({count}): {reason}")?;
        }
        failures.iter().try_for_each(|failure| writeln!(f, "  FAIL {failure}"))
    }
}
