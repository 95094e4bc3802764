// Package rowcache keeps records that are read often in front of an engine, so that
// a read of them neither crosses into RocksDB nor searches its blocks.
//
// # Coherence
//
// A cached record is the one that the engine would return. Each engine counts its
// writes in a state word:
//
//	63                16 15            0
//	┌───────────────────┬──────────────┐
//	│ writes begun      │ writes in it │
//	└───────────────────┴──────────────┘
//
// A write changes the word, takes its keys out of the cache, applies the batch, and
// changes the word again. A read that missed keeps what it found only if the word is
// the same as before it asked the engine and says that nobody writes, which it looks
// at under the lock that the write needs to take the key out. So what a batch
// replaces is gone before anybody can see the new, and does not come back.
// Reads of several keys are one consistent view in the same way: if the word moved
// between, they are repeated in the engine.
//
// # Memory
//
// The cache is divided into shards, each a table of small slots and chunks of bytes
// that are filled one after the other. When all are full the oldest is taken again,
// and those of its records that were read since stay (second chance). From then on a
// record is taken in at its second miss: records that are read once, as by a walk over a table
// larger than the cache, cost no copy and displace nothing. The bytes lie outside
// the Go heap, so that they do not make the garbage collector wait for as many more.
package rowcache
