//! Real clusters, clients and a nemesis; and the ways to be out of date, one by one.

#![cfg(test)]

mod directed;
mod drawn;
mod rolling;
