// What the C++ files of the shim share.
#ifndef ARION_ROCKS_DB_H
#define ARION_ROCKS_DB_H

#include <rocksdb/db.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "filter.h"
#include "shim.h"

// Remembers the error that stopped background work until RocksDB recovers.
class ErrorKeeper final : public rocksdb::EventListener {
 public:
  const char* Name() const override { return "arion.ErrorKeeper"; }
  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* s) override;
  void OnErrorRecoveryEnd(const rocksdb::BackgroundErrorRecoveryInfo& info) override;
  rocksdb::Status Get();

 private:
  std::mutex mu_;
  rocksdb::Status status_;
};

// Tells Go that memtables are about to become durable.
class FlushHook final : public rocksdb::EventListener {
 public:
  explicit FlushHook(uintptr_t hook) : hook_(hook) {}
  const char* Name() const override { return "arion.FlushHook"; }
  void OnFlushBegin(rocksdb::DB*, const rocksdb::FlushJobInfo&) override { arion_before_flush(hook_); }

 private:
  const uintptr_t hook_;
};

std::shared_ptr<rocksdb::Logger> NewInfoLog(const std::string& dir);

struct arion_budget {
  std::shared_ptr<rocksdb::WriteBufferManager> manager;
};

struct arion_db {
  rocksdb::DB* db = nullptr;  // owned by grocksdb's DB
  std::shared_ptr<arion::FilterState> filter = std::make_shared<arion::FilterState>();
  std::shared_ptr<ErrorKeeper> errors = std::make_shared<ErrorKeeper>();
  std::shared_ptr<rocksdb::WriteBufferManager> budget;
  std::atomic<bool> fill_cache{true};

  rocksdb::ReadOptions Reads() const {
    rocksdb::ReadOptions o;
    o.fill_cache = fill_cache.load(std::memory_order_relaxed);
    return o;
  }
};

inline arion_result Ok(uint64_t n = 0) { return {n, nullptr, ARION_OK}; }
arion_result Result(const rocksdb::Status& s, uint64_t n = 0);

// Bytes borrowed from Go. An empty slice of Go may have a null pointer, on which
// RocksDB's assertions (on in Debian's library) abort.
inline rocksdb::Slice View(const char* p, size_t n) { return n == 0 ? rocksdb::Slice() : rocksdb::Slice(p, n); }

#endif
