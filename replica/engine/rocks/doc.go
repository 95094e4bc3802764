// Package rocks keeps partitions in RocksDB, one database each.
//
// grocksdb opens databases and sets their plain options; our C++ (shim.h) does
// what it cannot, or does with one crossing per row: page iteration, multi-get,
// batches built in Go, cancellable compaction, the compaction filter and the
// prefix extractor. Nothing in C++ calls back into Go.
//
// Why what survives a crash is a prefix of the Apply order: a database has one
// column family and no write-ahead log, writes go into one memtable at a time,
// and RocksDB commits flushed memtables to its manifest in the order they were
// filled, whichever flush ends first. A checkpoint flushes before it links.
package rocks
