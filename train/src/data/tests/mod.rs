//! The streams over real files: order, resumption, statistics, damage and the writer.

mod damage;
mod fixture;
mod folders;
mod hostile;
#[cfg(feature = "object-store")]
mod objects;
mod order;
mod resumption;
mod statistics;
mod writing;
