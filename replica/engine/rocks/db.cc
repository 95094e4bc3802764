// Point reads, writes, maintenance and figures.
#include "db.h"

#include <rocksdb/convenience.h>
#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>
#include <rocksdb/write_buffer_manager.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <unordered_map>

using rocksdb::DB;
using rocksdb::PinnableSlice;
using rocksdb::Slice;
using rocksdb::Status;

arion_result Result(const Status& s, uint64_t n) {
  if (s.ok()) return Ok(n);
  return {0, strdup(s.ToString().c_str()), ARION_ERROR};
}

void arion_set_owned(arion_db* d, uint32_t index, uint32_t count) {
  d->filter->owned.store(uint64_t{count} << 32 | index, std::memory_order_release);
}

void arion_set_clock(arion_db* d, uint32_t sec) {
  uint32_t old = d->filter->clock.load(std::memory_order_relaxed);
  while (old < sec && !d->filter->clock.compare_exchange_weak(old, sec, std::memory_order_release)) {
  }
}

arion_result arion_background_error(arion_db* d) { return Result(d->errors->Get()); }

arion_result arion_get(arion_db* d, const char* key, size_t key_len, char* buf, size_t cap) {
  PinnableSlice value;
  const Status s = d->db->Get(d->Reads(), d->db->DefaultColumnFamily(), View(key, key_len), &value);
  if (s.IsNotFound()) return {0, nullptr, ARION_NOT_FOUND};
  if (!s.ok()) return Result(s);
  if (value.size() > cap) return {value.size(), nullptr, ARION_TOO_SMALL};
  memcpy(buf, value.data(), value.size());
  return Ok(value.size());
}

arion_result arion_apply(arion_db* d, const char* repr, size_t len) {
  rocksdb::WriteBatch batch(std::string(repr, len));
  rocksdb::WriteOptions o;
  o.disableWAL = true;
  return Result(d->db->Write(o, &batch), d->budget->mutable_memtable_memory_usage());
}

arion_result arion_flush(arion_db* d, int wait) {
  rocksdb::FlushOptions o;
  o.wait = wait != 0;
  // Otherwise a flush first waits until compaction has caught up, and the caller
  // is raft's Sync.
  o.allow_write_stall = true;
  return Result(d->db->Flush(o));
}

struct arion_flag {
  std::atomic<bool> set{false};
};

arion_flag* arion_flag_new(void) { return new arion_flag; }
void arion_flag_set(arion_flag* f) { f->set.store(true); }
void arion_flag_free(arion_flag* f) { delete f; }

arion_result arion_compact(arion_db* d, const char* from, size_t from_len, const char* to, size_t to_len,
                           int bottom, arion_flag* cancel) {
  using Bottom = rocksdb::BottommostLevelCompaction;
  rocksdb::CompactRangeOptions o;
  o.exclusive_manual_compaction = false;
  // In the order of engine.Bottom. The first rewrites the last level too, where
  // most expired records lie, but not what this very compaction put there.
  static constexpr Bottom kBottoms[] = {Bottom::kForceOptimized, Bottom::kForce, Bottom::kSkip};
  o.bottommost_level_compaction = kBottoms[bottom >= 0 && bottom < 3 ? bottom : 0];
  o.canceled = &cancel->set;
  const Slice begin = View(from, from_len), end = View(to, to_len);
  return Result(d->db->CompactRange(o, &begin, &end));
}

arion_result arion_reconsider(arion_db* d, uint64_t periodic_compaction_sec) {
  return Result(d->db->SetOptions({{"periodic_compaction_seconds", std::to_string(periodic_compaction_sec)}}));
}

arion_result arion_tune(arion_db* d, const char* options, size_t len, int fill_cache) {
  std::unordered_map<std::string, std::string> map;
  Status s = rocksdb::StringToMap(std::string(options, len), &map);
  if (s.ok()) s = d->db->SetOptions(map);
  if (s.ok()) d->fill_cache.store(fill_cache != 0, std::memory_order_relaxed);
  return Result(s);
}

static uint64_t IntProperty(DB* db, const std::string& name) {
  uint64_t v = 0;
  db->GetIntProperty(name, &v);
  return v;
}

static uint64_t FilesAt(DB* db, int level) {
  std::string v;
  db->GetProperty(DB::Properties::kNumFilesAtLevelPrefix + std::to_string(level), &v);
  return strtoull(v.c_str(), nullptr, 10);
}

uint64_t arion_active_memtable_bytes(arion_db* d) {
  return IntProperty(d->db, DB::Properties::kCurSizeActiveMemTable);
}

int arion_has_tables(arion_db* d) { return IntProperty(d->db, DB::Properties::kLiveSstFilesSize) > 0; }

void arion_get_stats(arion_db* d, arion_stats* out) {
  using P = DB::Properties;
  DB* db = d->db;
  out->size_bytes = IntProperty(db, P::kLiveSstFilesSize);
  out->estimated_keys = IntProperty(db, P::kEstimateNumKeys);
  out->memtable_bytes = IntProperty(db, P::kCurSizeAllMemTables);
  out->memtable_keys = IntProperty(db, P::kNumEntriesActiveMemTable) + IntProperty(db, P::kNumEntriesImmMemTables);
  out->level0_files = FilesAt(db, 0);
  out->table_files = 0;
  for (int level = 0; level < db->NumberLevels(); level++) out->table_files += FilesAt(db, level);
  out->table_reader_bytes = IntProperty(db, P::kEstimateTableReadersMem);
  out->pending_compaction_bytes = IntProperty(db, P::kEstimatePendingCompactionBytes);
  out->running_compactions = IntProperty(db, P::kNumRunningCompactions);
  out->running_flushes = IntProperty(db, P::kNumRunningFlushes);
  out->filter_dropped = d->filter->dropped.load(std::memory_order_relaxed);
  out->write_delayed = IntProperty(db, P::kActualDelayedWriteRate) > 0;
  out->write_stopped = IntProperty(db, P::kIsWriteStopped);
}

int arion_filter_foreign(const char* key, size_t key_len, uint32_t index, uint32_t count) {
  return arion::FilterForeign(View(key, key_len), index, count);
}

int arion_filter_drops(const char* key, size_t key_len, const char* value, size_t value_len, uint32_t clock) {
  return arion::FilterDrops(View(key, key_len), View(value, value_len), clock);
}
