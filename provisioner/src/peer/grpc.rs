//! Listens to ops-manager over gRPC and writes what it hears on the board. Reconnects for ever; decides nothing.
