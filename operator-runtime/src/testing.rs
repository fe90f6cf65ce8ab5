//! A scripted API server, for tests of what is sent, in what order, and what follows from the answers.
