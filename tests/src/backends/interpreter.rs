use std::error::Error;

use egom2p_graph::{Literal, interpreter::interpret};

use crate::op_suite::{Case, Runs};

/// The reference interpreter itself.
pub struct Interpreter;

impl Runs for Interpreter {
    fn name(&self) -> String {
        "interpreter".to_owned()
    }

    fn run(&self, case: &Case) -> Result<Vec<(String, Literal)>, Box<dyn Error>> {
        let outputs = interpret(&case.graph, &case.inputs, case.parameters.as_ref())?;
        Ok(outputs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}
