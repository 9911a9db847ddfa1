//! The laws of reading and writing, tried on generated values of every type.

#[cfg(test)]
mod draw;
#[cfg(test)]
mod refusal;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod secrecy;
