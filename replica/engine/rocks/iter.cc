// Page iteration: many rows per crossing.
#include <rocksdb/options.h>

#include <algorithm>
#include <cstring>

#include "db.h"

using rocksdb::Slice;

// Bulk walks read tables front to back; this much at once is where disks stop
// gaining and well below what a block cache shard would notice.
static constexpr size_t kBulkReadahead = 1 << 20;

struct arion_iter {
  std::string lower, upper;
  Slice lower_slice, upper_slice;  // RocksDB keeps pointers to these
  bool has_upper, reverse, started = false;
  uint32_t value_prefix;
  std::unique_ptr<rocksdb::Iterator> it;

  // All keys of [lower, upper) belong to the hash key of lower. Then tables
  // whose filter does not know the hash key need not be opened.
  bool WithinHashKey() const {
    const auto& transform = *arion::HashKeyPrefix();
    if (!has_upper || !transform.InDomain(lower_slice)) return false;
    const Slice prefix = transform.Transform(lower_slice);
    return upper_slice.starts_with(prefix) || IsSuccessor(prefix, upper_slice);
  }

  void Start() {
    if (started) return;
    started = true;
    if (reverse) {
      it->SeekToLast();
    } else if (lower.empty()) {
      it->SeekToFirst();
    } else {
      it->Seek(lower_slice);
    }
  }

  void Step() { reverse ? it->Prev() : it->Next(); }

  Slice Value() const {
    const Slice v = it->value();
    return value_prefix > 0 && v.size() > value_prefix ? Slice(v.data(), value_prefix) : v;
  }

 private:
  // Whether upper is the least key above all keys starting with prefix.
  static bool IsSuccessor(const Slice& prefix, const Slice& upper) {
    size_t n = prefix.size();
    while (n > 0 && static_cast<uint8_t>(prefix[n - 1]) == 0xff) n--;
    return n > 0 && upper.size() == n && memcmp(prefix.data(), upper.data(), n - 1) == 0 &&
           static_cast<uint8_t>(upper[n - 1]) == static_cast<uint8_t>(prefix[n - 1]) + 1;
  }
};

arion_iter* arion_iter_new(arion_db* d, const char* lower, size_t lower_len, const char* upper, size_t upper_len,
                           int has_upper, int reverse, int bulk, uint32_t value_prefix) {
  auto* i = new arion_iter;
  i->lower = View(lower, lower_len).ToString();
  i->upper = View(upper, upper_len).ToString();
  i->lower_slice = i->lower;
  i->upper_slice = i->upper;
  i->has_upper = has_upper != 0;
  i->reverse = reverse != 0;
  i->value_prefix = value_prefix;

  rocksdb::ReadOptions o = d->Reads();
  if (!i->lower.empty()) o.iterate_lower_bound = &i->lower_slice;
  if (i->has_upper) o.iterate_upper_bound = &i->upper_slice;
  // Backwards RocksDB would ask the filter for the hash key of upper.
  o.prefix_same_as_start = !i->reverse && i->WithinHashKey();
  o.total_order_seek = !o.prefix_same_as_start;
  // Obsolete files are deleted by a background thread, not by the reader.
  o.background_purge_on_iterator_cleanup = true;
  if (bulk) {
    o.fill_cache = false;
    o.readahead_size = kBulkReadahead;
  }
  i->it.reset(d->db->NewIterator(o));
  return i;
}

void arion_iter_free(arion_iter* it) { delete it; }

arion_result arion_iter_next(arion_iter* i, size_t max_rows, size_t max_bytes, char* buf, size_t cap, arion_row* rows,
                             size_t* bytes) {
  i->Start();
  size_t n = 0, used = 0;
  for (; i->it->Valid() && n < max_rows && (n == 0 || used < max_bytes); i->Step(), n++) {
    const Slice key = i->it->key(), value = i->Value();
    const size_t need = key.size() + value.size();
    if (need > cap - used) {
      if (n == 0) return {need, nullptr, ARION_TOO_SMALL};
      break;
    }
    memcpy(buf + used, key.data(), key.size());
    memcpy(buf + used + key.size(), value.data(), value.size());
    rows[n] = {static_cast<uint32_t>(used), static_cast<uint32_t>(key.size()), static_cast<uint32_t>(value.size())};
    used += need;
  }
  *bytes = used;
  return Result(i->it->status(), n);
}
