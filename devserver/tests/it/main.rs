//! The server as its clients see it: the built program, over sockets.

mod cli;
mod drain;
mod durability;
mod guard;
mod http;
mod limits;
mod names;
mod openapi;
mod query;
mod sdk;
mod stopping;
mod support;
mod tls;
mod transactions;
