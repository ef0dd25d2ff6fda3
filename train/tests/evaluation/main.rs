//! Evaluation: its measures against numpy, and the command on a bundle of a model that has learned nothing.

mod bundle;
mod command;
mod measures;
