#include "filter.h"

#include <algorithm>

namespace arion {
namespace {

using rocksdb::CompactionFilter;
using rocksdb::Slice;

// The record header of replica/record/record.go; change both or neither.
constexpr size_t kHeaderLen = 19;
constexpr char kFormat = 1;
constexpr size_t kExpireOffset = 1;

// engine.InternalPrefix.
bool IsInternal(const Slice& key) {
  return key.size() >= 2 && static_cast<uint8_t>(key[0]) == 0xff && static_cast<uint8_t>(key[1]) == 0xff;
}

uint32_t BigEndian32(const char* p) {
  const auto* u = reinterpret_cast<const uint8_t*>(p);
  return uint32_t{u[0]} << 24 | uint32_t{u[1]} << 16 | uint32_t{u[2]} << 8 | uint32_t{u[3]};
}

// Serves one compaction and runs on one thread. The clock only grows, so the
// value at the start of the compaction is safe throughout.
class Filter final : public CompactionFilter {
 public:
  explicit Filter(std::shared_ptr<FilterState> state)
      : state_(std::move(state)), clock_(state_->clock.load(std::memory_order_acquire)) {}

  ~Filter() override { state_->dropped.fetch_add(dropped_, std::memory_order_relaxed); }

  const char* Name() const override { return "arion.Filter"; }

  Decision FilterV2(int, const Slice& key, ValueType type, const Slice& value, std::string*,
                    std::string*) const override {
    if (type != ValueType::kValue || !FilterDrops(key, value, clock_)) return Decision::kKeep;
    dropped_++;
    return Decision::kRemove;
  }

 private:
  const std::shared_ptr<FilterState> state_;
  const uint32_t clock_;
  mutable uint64_t dropped_ = 0;
};

// Makes a filter per compaction. Rules that an operator sets, and the hash range
// left to a partition after a split, will be read here once per compaction.
class Factory final : public rocksdb::CompactionFilterFactory {
 public:
  explicit Factory(std::shared_ptr<FilterState> state) : state_(std::move(state)) {}

  const char* Name() const override { return "arion.FilterFactory"; }

  std::unique_ptr<CompactionFilter> CreateCompactionFilter(const CompactionFilter::Context&) override {
    return std::make_unique<Filter>(state_);
  }

 private:
  const std::shared_ptr<FilterState> state_;
};

// The name is stored in every table; a new rule needs a new name.
class HashKeyTransform final : public rocksdb::SliceTransform {
 public:
  const char* Name() const override { return "arion.HashKey.1"; }

  bool InDomain(const Slice& key) const override { return !IsInternal(key) && key.size() >= PrefixLen(key); }

  Slice Transform(const Slice& key) const override { return Slice(key.data(), std::min(PrefixLen(key), key.size())); }

 private:
  static size_t PrefixLen(const Slice& key) {
    if (key.size() < 2) return 2;
    return 2 + (static_cast<uint8_t>(key[0]) << 8 | static_cast<uint8_t>(key[1]));
  }
};

}  // namespace

bool FilterDrops(const Slice& key, const Slice& value, uint32_t clock) {
  if (IsInternal(key) || value.size() < kHeaderLen || value[0] != kFormat) return false;
  const uint32_t expire = BigEndian32(value.data() + kExpireOffset);
  return expire > 0 && expire < clock;
}

std::shared_ptr<rocksdb::CompactionFilterFactory> NewFilterFactory(std::shared_ptr<FilterState> state) {
  return std::make_shared<Factory>(std::move(state));
}

std::shared_ptr<const rocksdb::SliceTransform> HashKeyPrefix() {
  static const auto transform = std::make_shared<const HashKeyTransform>();
  return transform;
}

}  // namespace arion
