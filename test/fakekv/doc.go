// Package fakekv is a cluster in one process for tests of programs that use
// Arion: meta and replica servers that speak the real protocol on real loopback
// connections, over tables in memory, and that misbehave on demand.
//
//	c := fakekv.Start(t, fakekv.Options{})
//	c.CreateTable("temp", 8)
//	cl, err := client.Open(ctx, c.Metas())
//
// Data lives in the cluster, not in its nodes: every replica of a partition sees
// the same records, as if replication were perfect. What can be arranged:
//
//   - nodes: Stop and Start (connections reset, port refuses), Pause and Resume
//     (connections stay and nothing moves, as under SIGSTOP), DropConnections;
//   - routing: MoveLeader, SetLeader to no one, Split, DropTable; a meta server
//     answers with what is true now, a data node refuses what it does not lead;
//   - single calls: Script matches calls by name, table, partition and node, and
//     delays them, answers with an error, a given reply or raw bytes, keeps silent,
//     or cuts the connection, before or after carrying the call out;
//   - what else servers tell: an Action's Answer, and ServeHTTP for /metrics;
//   - time: Advance moves the clock that records expire by.
//
// It counts calls (Count), and what was carried out (Applied), so a test can tell
// an answer that was lost from a call that never ran.
//
// The operations on records are implemented as the protocol describes them; what
// a fake need not have (raft, disks, throttling, backup) it does not have.
package fakekv
