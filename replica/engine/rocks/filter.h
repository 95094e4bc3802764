// The compaction filter and the prefix extractors: what C++ knows of our formats.
#ifndef ARION_ROCKS_FILTER_H
#define ARION_ROCKS_FILTER_H

#include <rocksdb/compaction_filter.h>
#include <rocksdb/slice_transform.h>

#include <atomic>
#include <cstdint>
#include <memory>

namespace arion {

// What the threads of one database share with Go.
struct FilterState {
  std::atomic<uint32_t> clock{0};
  // Partition index in the lower half, partition count in the upper; 0: all
  // records may stay.
  std::atomic<uint64_t> owned{0};
  std::atomic<uint64_t> dropped{0};
};

// Whether a record may be discarded under clock. Twin of engine.FilterDrop.
bool FilterDrops(const rocksdb::Slice& key, const rocksdb::Slice& value, uint32_t clock);

// Whether a record belongs to another partition. Twin of engine.FilterForeign.
bool FilterForeign(const rocksdb::Slice& key, uint32_t index, uint32_t count);

std::shared_ptr<rocksdb::CompactionFilterFactory> NewFilterFactory(std::shared_ptr<FilterState> state);

// u16 length and hash key, the common prefix of all records of a hash key.
std::shared_ptr<const rocksdb::SliceTransform> HashKeyPrefix();

// Holds the keys of internal state together and no others.
std::shared_ptr<const rocksdb::SliceTransform> InternalKeys();

}  // namespace arion

#endif
