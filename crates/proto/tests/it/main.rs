//! The laws of reading and writing, tried on generated values of every type.

mod draw;
mod refusal;
mod round_trip;
mod secrecy;
