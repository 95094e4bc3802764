// Many keys per crossing.
#include <rocksdb/options.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "db.h"

using rocksdb::DB;
using rocksdb::PinnableSlice;
using rocksdb::Slice;
using rocksdb::Status;

static constexpr uint32_t kMissing = ~uint32_t{0};  // engine.Missing

// Values found, held back until the caller has room for them: pinned as RocksDB
// gave them, or packed with their rows.
struct arion_values {
  std::vector<PinnableSlice> values;
  std::vector<Status> statuses;
  std::string packed;
  std::vector<arion_row> rows;

  // Looks up all keys at one sequence number; the first failure is the result.
  Status Load(DB* db, const rocksdb::ReadOptions& o, std::vector<Slice>& keys) {
    values.resize(keys.size());
    statuses.resize(keys.size());
    db->MultiGet(o, db->DefaultColumnFamily(), keys.size(), keys.data(), values.data(), statuses.data());
    for (const Status& s : statuses) {
      if (!s.ok() && !s.IsNotFound()) return s;
    }
    return Status::OK();
  }

  uint64_t Bytes() const {
    uint64_t n = 0;
    for (size_t i = 0; i < values.size(); i++) n += statuses[i].ok() ? values[i].size() : 0;
    return n;
  }

  void Copy(char* buf, arion_row* out) const {
    if (!rows.empty()) {
      memcpy(buf, packed.data(), packed.size());
      std::copy(rows.begin(), rows.end(), out);
      return;
    }
    uint32_t off = 0;
    for (size_t i = 0; i < values.size(); i++) {
      if (!statuses[i].ok()) {
        out[i] = {off, 0, kMissing};
        continue;
      }
      const auto len = static_cast<uint32_t>(values[i].size());
      memcpy(buf + off, values[i].data(), len);
      out[i] = {off, 0, len};
      off += len;
    }
  }
};

namespace {

// Finds keys of one hash key by walking over what lies between them. Where most
// records between the first and the last key are asked for, a step of an iterator
// takes a fifth of a lookup: BenchmarkMultiGetDense. The walk gives up early where
// they are far apart, and then everything is looked up.
class Walk {
 public:
  // Fewer keys do not make up for creating the iterator.
  static constexpr size_t kLeastKeys = 8;

  Walk(arion_db* d, const std::vector<Slice>& keys, char* buf, size_t cap, arion_row* rows)
      : d_(d), keys_(keys), buf_(buf), cap_(cap), rows_(rows) {}

  // False if the keys are not for walking, or the walk has found out so: nothing
  // is known then.
  bool Run() {
    if (keys_.size() < kLeastKeys || !OneHashKey()) return false;
    order_.resize(keys_.size());
    std::iota(order_.begin(), order_.end(), 0);
    const auto less = [this](uint32_t a, uint32_t b) { return keys_[a].compare(keys_[b]) < 0; };
    if (!std::is_sorted(order_.begin(), order_.end(), less)) std::sort(order_.begin(), order_.end(), less);

    // The iterator keeps a pointer to its bound, and goes before MultiGet begins.
    const std::string upper = keys_[order_.back()].ToString() + '\0';
    const Slice upper_slice = upper;
    const bool found = FindAll(&upper_slice);
    it_.reset();
    return found;
  }

  arion_result Finish(arion_values** held) {
    if (!spilled_) return Ok(used_);
    auto v = std::make_unique<arion_values>();
    v->packed = std::move(spill_);
    v->rows.assign(rows_, rows_ + keys_.size());
    *held = v.release();
    return {used_, nullptr, ARION_TOO_SMALL};
  }

 private:
  // Steps to a key before the iterator seeks it instead; a seek costs about as
  // many.
  static constexpr int kSteps = 6;
  // Seeks beyond one for each kKeysPerSeek keys found end the walk.
  static constexpr size_t kKeysPerSeek = 8;
  // Deleted records in a row that a walk puts up with.
  static constexpr uint64_t kMostDeleted = 64;

  bool FindAll(const Slice* upper) {
    rocksdb::ReadOptions o = d_->Reads();
    o.iterate_upper_bound = upper;
    o.prefix_same_as_start = true;
    o.max_skippable_internal_keys = kMostDeleted;
    o.background_purge_on_iterator_cleanup = true;
    it_.reset(d_->db->NewIterator(o));
    it_->Seek(keys_[order_[0]]);
    for (size_t n = 0; n < order_.size(); n++) {
      bool there;
      if (!Reach(keys_[order_[n]], n, &there) || !Take(order_[n], there)) return false;
    }
    return true;
  }

  bool OneHashKey() const {
    const auto& transform = *arion::HashKeyPrefix();
    if (!transform.InDomain(keys_[0])) return false;
    const Slice prefix = transform.Transform(keys_[0]);
    return std::all_of(keys_.begin(), keys_.end(), [&](const Slice& k) { return k.starts_with(prefix); });
  }

  // Moves to the first record at or behind key, the n-th; there says that it is at
  // key. False to give up.
  bool Reach(const Slice& key, size_t n, bool* there) {
    *there = false;
    for (int steps = 0; it_->Valid(); steps++) {
      const int c = it_->key().compare(key);
      *there = c == 0;
      if (c >= 0) return true;
      if (steps < kSteps) {
        it_->Next();
      } else if (++seeks_ > 1 + n / kKeysPerSeek) {
        return false;
      } else {
        it_->Seek(key);
      }
    }
    // Incomplete is too many deleted records. Other failures are MultiGet's to
    // tell, which reads no more than the keys.
    return it_->status().ok();
  }

  // Copies the value of key i if the iterator is there.
  bool Take(uint32_t i, bool there) {
    if (!there) {
      rows_[i] = {static_cast<uint32_t>(used_), 0, kMissing};
      return true;
    }
    const Slice v = it_->value();
    if (used_ + v.size() > UINT32_MAX) return false;  // arion_row.off
    if (!spilled_ && v.size() > cap_ - used_) {
      spilled_ = true;
      spill_.assign(buf_, used_);
    }
    if (spilled_) {
      spill_.append(v.data(), v.size());
    } else {
      memcpy(buf_ + used_, v.data(), v.size());
    }
    rows_[i] = {static_cast<uint32_t>(used_), 0, static_cast<uint32_t>(v.size())};
    used_ += v.size();
    return true;
  }

  arion_db* const d_;
  const std::vector<Slice>& keys_;
  char* const buf_;
  const size_t cap_;
  arion_row* const rows_;

  std::vector<uint32_t> order_;  // indexes of keys_, ascending by key
  std::unique_ptr<rocksdb::Iterator> it_;
  size_t seeks_ = 0, used_ = 0;
  bool spilled_ = false;
  std::string spill_;  // all values, once they do not fit into buf_
};

}  // namespace

arion_result arion_multi_get(arion_db* d, const char* packed, const uint32_t* lens, size_t n, char* buf, size_t cap,
                             arion_row* rows, arion_values** held) {
  std::vector<Slice> keys;
  keys.reserve(n);
  for (size_t i = 0; i < n; packed += lens[i], i++) keys.push_back(View(packed, lens[i]));
  Walk walk(d, keys, buf, cap, rows);
  if (walk.Run()) return walk.Finish(held);

  auto v = std::make_unique<arion_values>();
  const Status s = v->Load(d->db, d->Reads(), keys);
  if (!s.ok()) return Result(s);
  const uint64_t bytes = v->Bytes();
  if (bytes > UINT32_MAX) return Result(Status::InvalidArgument("multi-get of more than 4 GiB"));  // arion_row.off
  if (bytes > cap) {
    *held = v.release();
    return {bytes, nullptr, ARION_TOO_SMALL};
  }
  v->Copy(buf, rows);
  return Ok(bytes);
}

void arion_values_copy(arion_values* held, char* buf, arion_row* rows) {
  if (buf != nullptr) held->Copy(buf, rows);
  delete held;
}
