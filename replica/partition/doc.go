// Package partition runs one replica of one partition: a raft group member over
// a storage engine.
//
// # Writes
//
// Write puts a request into a bounded queue. One goroutine takes what has
// gathered, stamps it with the leader's clock and proposes it as one log entry,
// while a few earlier entries are still in flight; it never waits for company.
// Every replica applies entries in runs: one engine batch holds the data of a
// run and the applied index. The replica that proposed an entry recognises it by
// the envelope around it and answers its writes right after the batch is in the
// engine. Whatever else happens to an entry (dropped, timed out, replica closed)
// is learned from dragonboat; whoever comes first answers, once. An entry that
// was proposed and is not known to be applied has an unknown outcome
// (code.Timeout), unless raft says that it never reached the log.
//
// # Reads
//
// ReadBarrier answers when a read of the local engine is linearizable. A leader
// that has completed a ReadIndex begun at t0 holds a lease until t0 + Lease:
// internal/raft keeps every member of the quorum that acknowledged it from
// helping to elect another leader before that. Under a lease the barrier costs
// a clock reading. It implies that this replica has applied everything that was
// acknowledged to anybody: a write is acknowledged only by the replica that
// proposed it, after applying it; replicas do not propose on behalf of each
// other; and what former leaders acknowledged lies below the index of the
// ReadIndex, which completes after it is applied.
//
// A lease ends early when the leader, the term or the membership changes. It is
// given up before leadership is transferred, and in that term there is no other,
// since the order to take over may arrive at any time. It is measured on the
// monotonic clock and, since that stands still while a machine sleeps, on the
// wall clock too: a lease is valid only while both say so.
//
// # Snapshots
//
// The log is truncated on the strength of a flushed engine; there are no
// snapshot files at rest. A replica that is behind the log is streamed a
// checkpoint of the engine, writes it into a new directory and switches to it
// by replacing the file CURRENT.
package partition
