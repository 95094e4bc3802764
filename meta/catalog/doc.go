// Package catalog is the replicated state of a cluster: its tables, their partitions and replicas, the nodes, and the
// cluster's settings.
//
// A State is immutable. Apply takes a state and a command and returns the next state; it reads no clock, draws no random
// number, and walks maps in sorted order only, so every meta server that applies the same commands holds the same bytes.
// Readers keep a *State as long as they like: nothing behind it changes.
//
// Time enters only through commands, stamped by the meta leader. What is alive and who leads a partition right now is not
// here: that is the tracker's business (meta/track). The catalog keeps what must survive: who owns what.
package catalog
