//! A scripted server for the client's tests.
