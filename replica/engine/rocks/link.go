package rocks

// RocksDB and what it is built on are linked statically, so that the binary
// needs only libc and libm of the machine it runs on. grocksdb is built with
// the tag grocksdb_no_link and adds no flags of its own. Debian compiles its
// RocksDB with assertions, so NDEBUG stays undefined here too.

// #cgo CXXFLAGS: -std=c++17 -O2 -Wall -Wextra
// #cgo LDFLAGS: -Wl,-Bstatic -lrocksdb -lsnappy -llz4 -lzstd -lbz2 -lz -Wl,-Bdynamic
// #cgo LDFLAGS: -static-libstdc++ -static-libgcc -lm -ldl -lpthread
import "C"
