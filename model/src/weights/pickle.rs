//! A reader of Python pickles that executes nothing.
//!
//! Every global stays a name, every call stays a record of what would be called with what. Names of modules that can
//! run programs or touch the system make the whole file refused. Values live in one table and refer to each other by
//! index, so hostile nesting and cycles cost neither stack nor unbounded memory.

mod denied;
mod reader;

use std::fmt;

use thiserror::Error;

use super::quote::quoted;

/// The longest pickle that is read, in bytes: a hundred times what the published checkpoints have.
pub(super) const MAX_PICKLE_BYTES: u64 = 32 << 20;
/// The most values a pickle may make.
const MAX_VALUES: usize = 4 << 20;
/// How deep marks may be nested.
const MAX_MARKS: usize = 10_000;

/// A pickle, read: all its values, and which one is the whole.
#[derive(Debug)]
pub(super) struct Pickle<'p> {
    values: Vec<Value<'p>>,
    root: ValueId,
}

/// The place of a value in its pickle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ValueId(u32);

/// A value as far as the reader of checkpoints needs it.
#[derive(Debug)]
pub(super) enum Value<'p> {
    Int(i64),
    Text(&'p str),
    Tuple(Vec<ValueId>),
    Dict(Vec<(ValueId, ValueId)>),
    /// A name that Python would import.
    Global(Global<'p>),
    /// What Python would make by calling `callee`; `state` is what it would set afterwards.
    Object {
        callee: ValueId,
        arguments: ValueId,
        state: Option<ValueId>,
    },
    /// A reference to something outside the pickle: a tensor's storage.
    Persistent(ValueId),
    /// Anything else, by what to call it in an error.
    Other(&'static str),
}

/// A module's attribute, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Global<'p> {
    pub(super) module: &'p str,
    pub(super) name: &'p str,
}

/// Why a pickle is refused.
#[derive(Debug, Error)]
pub(super) enum PickleError {
    /// The file names code that no checkpoint needs.
    #[error("{0}")]
    Denied(String),
    #[error("{reason} at byte {position}")]
    Malformed { position: usize, reason: String },
}

impl<'p> Pickle<'p> {
    /// Reads a pickle of protocol 2 to 5 (and what TorchScript writes).
    pub(super) fn parse(bytes: &'p [u8]) -> Result<Self, PickleError> {
        reader::Reader::new(bytes).run()
    }

    pub(super) fn root(&self) -> ValueId {
        self.root
    }

    pub(super) fn value(&self, id: ValueId) -> &Value<'p> {
        &self.values[id.0 as usize]
    }

    pub(super) fn text(&self, id: ValueId) -> Option<&'p str> {
        match self.value(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn int(&self, id: ValueId) -> Option<i64> {
        match self.value(id) {
            Value::Int(int) => Some(*int),
            _ => None,
        }
    }

    pub(super) fn tuple(&self, id: ValueId) -> Option<&[ValueId]> {
        match self.value(id) {
            Value::Tuple(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn dict(&self, id: ValueId) -> Option<&[(ValueId, ValueId)]> {
        match self.value(id) {
            Value::Dict(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn global(&self, id: ValueId) -> Option<Global<'p>> {
        match self.value(id) {
            Value::Global(global) => Some(*global),
            _ => None,
        }
    }

    /// The dictionary entry with this key; the last one counts, as in Python.
    pub(super) fn get(&self, dict: ValueId, key: &str) -> Option<ValueId> {
        let entries = self.dict(dict)?.iter().rev();
        entries.copied().find(|(name, _)| self.text(*name) == Some(key)).map(|(_, value)| value)
    }

    /// What a value is, for an error line.
    pub(super) fn describe(&self, id: ValueId) -> String {
        match self.value(id) {
            Value::Int(int) => format!("the number {int}"),
            Value::Text(_) => "text".into(),
            Value::Tuple(_) => "a tuple".into(),
            Value::Dict(_) => "a dictionary".into(),
            Value::Global(global) => format!("the global {global}"),
            Value::Object { callee, .. } => match self.global(*callee) {
                Some(global) => format!("what a call of {global} makes"),
                None => "what a call makes".into(),
            },
            Value::Persistent(_) => "a bare storage".into(),
            Value::Other(name) => (*name).into(),
        }
    }
}

impl fmt::Display for Global<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", quoted(self.module), quoted(self.name))
    }
}
