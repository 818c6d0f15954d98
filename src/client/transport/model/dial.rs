//! Opening a connection to the server of the model checker.

use std::sync::Arc;

use crate::client::cancel::CancelState;
use crate::client::transport::endpoint::Endpoint;
use crate::client::transport::request_deadline::RequestDeadline;
use crate::client::transport::socket::Socket;
use crate::client::transport::wire::Wire;
use crate::error::{Code, Error, Result};
use crate::model::server::{self, Dial};

pub(in crate::client) fn dial(
    _endpoint: &Endpoint,
    cancel: &CancelState,
    deadline: &RequestDeadline,
) -> Result<Box<Wire>> {
    let (number, becomes) = server::begin_dial();
    let opened = connect(number, becomes, cancel, deadline);
    if opened.is_err() {
        cancel.forget();
    }
    server::end_dial(number, opened.is_ok());
    opened
}

fn connect(
    number: u64,
    becomes: Dial,
    cancel: &CancelState,
    deadline: &RequestDeadline,
) -> Result<Box<Wire>> {
    let socket = Arc::new(Socket::new(number));
    cancel.wait_for(socket.clone()).map_err(|_| cancelled())?;
    shuttle::thread::yield_now();
    match becomes {
        Dial::Hangs if socket.hang(deadline.until) => Err(cancelled()),
        Dial::Hangs => Err(Error::new(Code::Timeout, "Timeout: the dial hung")),
        _ if socket.is_cancelled() => Err(cancelled()),
        Dial::Opens => Ok(Box::new(Wire::new(socket, number))),
        Dial::Fails => Err(Error::new(Code::Unavailable, "the dial failed")),
    }
}

fn cancelled() -> Error {
    Error::new(Code::Cancelled, "the dial was interrupted")
}
