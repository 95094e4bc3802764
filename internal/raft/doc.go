// Package raft opens dragonboat the way Arion needs it and hides its traps.
//
// A Host is one dragonboat NodeHost: one log store, one listening port, any
// number of raft groups (shards). What this package adds to it:
//
//   - Targets. Members of a group are named by node, not by address, so that a
//     node may move: see Target and Book.
//   - A transport of our own with a guard that keeps the promises leases rest
//     on, and that keeps requests from being forwarded between replicas: see
//     guard.go.
//   - A directory that survives a change of the host name, and settings that
//     must never change recorded at the first start: see dir.go.
//   - Leader and membership events per shard: see events.go.
package raft
