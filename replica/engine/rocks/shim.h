// The C face of our C++ over RocksDB: what grocksdb cannot do, or does with one
// crossing per row. Conventions:
//
//   - (ptr, len) arguments are borrowed for the call; nothing keeps Go memory.
//   - an arion_result with code ARION_ERROR owns err, freed by the caller with
//     free(); its text is RocksDB's Status::ToString.
//   - nothing here calls back into Go, except arion_before_flush.
#ifndef ARION_ROCKS_SHIM_H
#define ARION_ROCKS_SHIM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct arion_budget arion_budget;  // memory of all memtables together
typedef struct arion_db arion_db;          // one open database
typedef struct arion_iter arion_iter;      // one frozen view
typedef struct arion_values arion_values;  // results of a multi-get held back
typedef struct arion_flag arion_flag;      // cancels one compaction

enum { ARION_OK = 0, ARION_NOT_FOUND = 1, ARION_TOO_SMALL = 2, ARION_ERROR = 3 };

typedef struct {
  uint64_t n;  // meaning depends on the call
  char* err;
  int32_t code;
} arion_result;

// Agrees with engine.Row in replica/engine/page.go.
typedef struct {
  uint32_t off, key_len, value_len;
} arion_row;

typedef struct {
  uint64_t size_bytes, estimated_keys;
  uint64_t memtable_bytes, memtable_keys;
  uint64_t table_files, level0_files, table_reader_bytes;
  uint64_t pending_compaction_bytes, running_compactions, running_flushes;
  uint64_t filter_dropped;
  uint64_t write_delayed, write_stopped;
} arion_stats;

// Options that the C API of RocksDB 7.8 lacks. options, cache, db and
// rate limiter are the rocksdb_…_t pointers inside grocksdb's types.
arion_budget* arion_budget_new(size_t bytes, void* cache);
void arion_budget_free(arion_budget* b);
uint64_t arion_budget_active(arion_budget* b);  // bytes in memtables still written to
uint64_t arion_budget_total(arion_budget* b);   // plus those being flushed
void arion_options_share(void* options, arion_budget* b, uint64_t periodic_compaction_sec);

// arion_db_new installs the filter, the listeners and the info log of one database
// in its own options, before it is opened in dir; arion_db_attach follows the opening. The
// database must be closed before arion_db_free. hook, if not 0, is what
// arion_before_flush is called with.
arion_db* arion_db_new(void* options, const char* dir, size_t len, uintptr_t hook);

// Implemented in Go. Called by a thread of RocksDB once the memtables of a flush
// are chosen, before they are written.
extern void arion_before_flush(uintptr_t hook);

void arion_db_attach(arion_db* d, void* db);
void arion_db_free(arion_db* d);

void arion_set_clock(arion_db* d, uint32_t sec);
void arion_set_owned(arion_db* d, uint32_t index, uint32_t count);  // count 0: all
arion_result arion_background_error(arion_db* d);  // ARION_ERROR if one stands
void arion_get_stats(arion_db* d, arion_stats* out);
uint64_t arion_active_memtable_bytes(arion_db* d);
int arion_has_tables(arion_db* d);

// n = length of the value, copied to buf if it fits in cap.
arion_result arion_get(arion_db* d, const char* key, size_t key_len, char* buf, size_t cap);

// keys lie back to back. rows must have room for n. n of the result = bytes of
// all values; if they do not fit, ARION_TOO_SMALL and *held keeps them for
// arion_values_copy, which frees it. All keys are seen at one moment.
arion_result arion_multi_get(arion_db* d, const char* keys, const uint32_t* lens, size_t n, char* buf, size_t cap,
                             arion_row* rows, arion_values** held);
void arion_values_copy(arion_values* held, char* buf, arion_row* rows);

// n of the result = bytes held by memtables of the whole budget that are still
// written to.
arion_result arion_apply(arion_db* d, const char* repr, size_t len);
arion_result arion_flush(arion_db* d, int wait);

arion_flag* arion_flag_new(void);
void arion_flag_set(arion_flag* f);
void arion_flag_free(arion_flag* f);
// bottom is an engine.Bottom.
arion_result arion_compact(arion_db* d, const char* from, size_t from_len, const char* to, size_t to_len,
                           int bottom, arion_flag* cancel);
// Lets RocksDB look again for files due for periodic compaction, which it does
// by itself only after a flush or a compaction.
arion_result arion_reconsider(arion_db* d, uint64_t periodic_compaction_sec);

// Changes options of an open database, "name=value;…", and whether reads fill
// the block cache.
arion_result arion_tune(arion_db* d, const char* options, size_t len, int fill_cache);

arion_iter* arion_iter_new(arion_db* d, const char* lower, size_t lower_len, const char* upper, size_t upper_len,
                           int has_upper, int reverse, int bulk, uint32_t value_prefix);
void arion_iter_free(arion_iter* it);
// Fills rows and buf; see engine.Iter.Next. n = rows, *bytes = bytes filled.
// ARION_TOO_SMALL: n = bytes that the next row needs, nothing was consumed.
arion_result arion_iter_next(arion_iter* it, size_t max_rows, size_t max_bytes, char* buf, size_t cap, arion_row* rows,
                             size_t* bytes);

// For tests: the filter's decision on one record.
int arion_filter_foreign(const char* key, size_t key_len, uint32_t index, uint32_t count);
int arion_filter_drops(const char* key, size_t key_len, const char* value, size_t value_len, uint32_t clock);

#ifdef __cplusplus
}
#endif
#endif
