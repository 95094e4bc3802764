#include "filter.h"

#include <algorithm>
#include <array>

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

// CRC-64 with the polynomial of idl/key, which the partition of a key depends on.
constexpr std::array<uint64_t, 256> MakeCRCTable() {
  std::array<uint64_t, 256> table{};
  for (uint64_t i = 0; i < table.size(); i++) {
    uint64_t crc = i;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x9a6c9329ac4bc9b5 : 0);
    table[i] = crc;
  }
  return table;
}

constexpr std::array<uint64_t, 256> kCRCTable = MakeCRCTable();

uint64_t CRC64(const char* p, size_t n) {
  uint64_t crc = ~uint64_t{0};
  for (size_t i = 0; i < n; i++) crc = kCRCTable[(crc ^ static_cast<uint8_t>(p[i])) & 0xff] ^ (crc >> 8);
  return ~crc;
}

// Serves one compaction and runs on one thread. The clock only grows, so the
// value at the start of the compaction is safe throughout.
class Filter final : public CompactionFilter {
 public:
  explicit Filter(std::shared_ptr<FilterState> state)
      : state_(std::move(state)),
        clock_(state_->clock.load(std::memory_order_acquire)),
        owned_(state_->owned.load(std::memory_order_acquire)) {}

  ~Filter() override { state_->dropped.fetch_add(dropped_, std::memory_order_relaxed); }

  const char* Name() const override { return "arion.Filter"; }

  Decision FilterV2(int, const Slice& key, ValueType type, const Slice& value, std::string*,
                    std::string*) const override {
    if (type != ValueType::kValue || !(FilterDrops(key, value, clock_) || Foreign(key))) return Decision::kKeep;
    dropped_++;
    return Decision::kRemove;
  }

 private:
  bool Foreign(const Slice& key) const {
    return FilterForeign(key, static_cast<uint32_t>(owned_), static_cast<uint32_t>(owned_ >> 32));
  }

  const std::shared_ptr<FilterState> state_;
  const uint32_t clock_;
  const uint64_t owned_;
  mutable uint64_t dropped_ = 0;
};

// Makes a filter per compaction. Rules that an operator sets will be read here once
// per compaction.
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

class InternalTransform final : public rocksdb::SliceTransform {
 public:
  const char* Name() const override { return "arion.Internal"; }
  bool InDomain(const Slice& key) const override { return IsInternal(key); }
  Slice Transform(const Slice& key) const override { return Slice(key.data(), 2); }
};

}  // namespace

bool FilterDrops(const Slice& key, const Slice& value, uint32_t clock) {
  if (IsInternal(key) || value.size() < kHeaderLen || value[0] != kFormat) return false;
  const uint32_t expire = BigEndian32(value.data() + kExpireOffset);
  return expire > 0 && expire < clock;
}

bool FilterForeign(const Slice& key, uint32_t index, uint32_t count) {
  if (count == 0 || key.size() < 2 || IsInternal(key)) return false;
  const size_t n = static_cast<uint8_t>(key[0]) << 8 | static_cast<uint8_t>(key[1]);
  if (2 + n > key.size()) return false;
  // Without a hash key the sort key decides.
  const uint64_t hash = n > 0 ? CRC64(key.data() + 2, n) : CRC64(key.data() + 2, key.size() - 2);
  return hash % count != index;
}

std::shared_ptr<rocksdb::CompactionFilterFactory> NewFilterFactory(std::shared_ptr<FilterState> state) {
  return std::make_shared<Factory>(std::move(state));
}

std::shared_ptr<const rocksdb::SliceTransform> HashKeyPrefix() {
  static const auto transform = std::make_shared<const HashKeyTransform>();
  return transform;
}

std::shared_ptr<const rocksdb::SliceTransform> InternalKeys() {
  static const auto transform = std::make_shared<const InternalTransform>();
  return transform;
}

}  // namespace arion
