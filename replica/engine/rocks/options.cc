// Options that the C API lacks, set on the C++ object inside grocksdb's types.
#include <rocksdb/cache.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/write_buffer_manager.h>

#include "db.h"

// The handles of RocksDB's C API, as its c.cc defines them (unchanged since
// 2013; the build pins one RocksDB, and a test opens a database through them).
struct rocksdb_options_t {
  rocksdb::Options rep;
};
struct rocksdb_cache_t {
  std::shared_ptr<rocksdb::Cache> rep;
};
struct rocksdb_t {
  rocksdb::DB* rep;
};

static rocksdb::Options& OptionsOf(void* options) { return static_cast<rocksdb_options_t*>(options)->rep; }

void ErrorKeeper::OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* s) {
  std::lock_guard<std::mutex> lock(mu_);
  status_ = *s;
}

void ErrorKeeper::OnErrorRecoveryEnd(const rocksdb::BackgroundErrorRecoveryInfo& info) {
  std::lock_guard<std::mutex> lock(mu_);
  status_ = info.new_bg_error;
}

rocksdb::Status ErrorKeeper::Get() {
  std::lock_guard<std::mutex> lock(mu_);
  return status_;
}

arion_budget* arion_budget_new(size_t bytes, void* cache) {
  return new arion_budget{
      std::make_shared<rocksdb::WriteBufferManager>(bytes, static_cast<rocksdb_cache_t*>(cache)->rep)};
}

void arion_budget_free(arion_budget* b) { delete b; }
uint64_t arion_budget_active(arion_budget* b) { return b->manager->mutable_memtable_memory_usage(); }
uint64_t arion_budget_total(arion_budget* b) { return b->manager->memory_usage(); }

void arion_options_share(void* options, arion_budget* b, uint64_t periodic_compaction_sec) {
  rocksdb::Options& o = OptionsOf(options);
  o.write_buffer_manager = b->manager;
  o.prefix_extractor = arion::HashKeyPrefix();
  o.periodic_compaction_seconds = periodic_compaction_sec;

  // One writer per database and no log: the write path is kept in its plainest
  // mode, in which memtables fill, switch and flush strictly in write order.
  o.allow_concurrent_memtable_write = false;
  o.enable_pipelined_write = false;
  o.unordered_write = false;
  o.two_write_queues = false;

  // Every batch writes the same key of internal state. A memtable remembers where it
  // put that one last, instead of looking for it among all records: a twelfth of a
  // write of two records (BenchmarkApplyMany).
  o.memtable_insert_with_hint_prefix_extractor = arion::InternalKeys();

  // A process holds up to a thousand databases, most of them idle: no periodic
  // work per database, few shards in its table of open files, little disk.
  o.stats_dump_period_sec = 0;
  o.stats_persist_period_sec = 0;
  o.table_cache_numshardbits = 2;
  o.manifest_preallocation_size = 64 << 10;  // the default reserves 4 MB of disk each
  o.skip_stats_update_on_db_open = true;
}

arion_db* arion_db_new(void* options, const char* dir, size_t len, uintptr_t hook) {
  rocksdb::Options& o = OptionsOf(options);
  auto* d = new arion_db;
  o.compaction_filter_factory = arion::NewFilterFactory(d->filter);
  o.listeners = {d->errors};
  o.info_log = NewInfoLog(std::string(dir, len));
  if (hook != 0) o.listeners.push_back(std::make_shared<FlushHook>(hook));
  d->budget = o.write_buffer_manager;
  return d;
}

void arion_db_attach(arion_db* d, void* db) { d->db = static_cast<rocksdb_t*>(db)->rep; }
void arion_db_free(arion_db* d) { delete d; }
