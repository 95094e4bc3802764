// Reads and writes of records. A key is either encoded (u16 length of the hash
// key, hash key, sort key) or given as its two parts; each field says which.
//
// The number in a reply's error field is a storage status, not an error code.
// Times are seconds since 2016-01-01 UTC.

namespace go rrdb

include "dsn.thrift"

// How a pattern is held against a key.
enum filter_type {
  FT_NO_FILTER = 0,
  FT_MATCH_ANYWHERE = 1,
  FT_MATCH_PREFIX = 2,
  FT_MATCH_POSTFIX = 3,
}

// What check_and_set and check_and_mutate demand of the tested record. The
// INT checks read both sides as the text of a number.
enum cas_check_type {
  CT_NO_CHECK = 0,
  CT_VALUE_NOT_EXIST = 1,
  CT_VALUE_NOT_EXIST_OR_EMPTY = 2,
  CT_VALUE_EXIST = 3,
  CT_VALUE_NOT_EMPTY = 4,
  CT_VALUE_MATCH_ANYWHERE = 5,
  CT_VALUE_MATCH_PREFIX = 6,
  CT_VALUE_MATCH_POSTFIX = 7,
  CT_VALUE_BYTES_LESS = 8,
  CT_VALUE_BYTES_LESS_OR_EQUAL = 9,
  CT_VALUE_BYTES_EQUAL = 10,
  CT_VALUE_BYTES_GREATER_OR_EQUAL = 11,
  CT_VALUE_BYTES_GREATER = 12,
  CT_VALUE_INT_LESS = 13,
  CT_VALUE_INT_LESS_OR_EQUAL = 14,
  CT_VALUE_INT_EQUAL = 15,
  CT_VALUE_INT_GREATER_OR_EQUAL = 16,
  CT_VALUE_INT_GREATER = 17,
}

enum mutate_operation {
  MO_PUT = 0,
  MO_DELETE = 1,
}

// What a put was before it was made idempotent. Between servers only.
enum update_type {
  UT_PUT = 0,
  UT_INCR = 1,
  UT_CHECK_AND_SET = 2,
  UT_CHECK_AND_MUTATE_PUT = 3,
  UT_CHECK_AND_MUTATE_REMOVE = 4,
}

// RPC_RRDB_RRDB_PUT
struct update_request {
  1: dsn.blob key               // encoded
  2: dsn.blob value
  3: i32 expire_ts_seconds      // 0 = never
  4: optional update_type type  // 4 to 7: between servers only
  5: optional bool check_value_returned
  6: optional bool check_value_exist
  7: optional dsn.blob check_value
}

// Answer to put, multi_put and remove.
struct update_response {
  1: i32 error      // storage status
  2: i32 app_id
  3: i32 partition_index
  4: i64 decree     // log index of the write, -1 if it was not logged
  5: string server  // "ip:port" of the replica
}

// Answer to get.
struct read_response {
  1: i32 error
  2: dsn.blob value  // empty when not found, but there
  3: i32 app_id
  4: i32 partition_index
  6: string server
}

struct ttl_response {
  1: i32 error
  2: i32 ttl_seconds  // -1 = never expires
  3: i32 app_id
  4: i32 partition_index
  6: string server
}

// Answer to sortkey_count.
struct count_response {
  1: i32 error
  2: i64 count  // -1 = cut short by the time limit
  3: i32 app_id
  4: i32 partition_index
  6: string server
}

// A record; the call decides whether key is a sort key or an encoded key.
struct key_value {
  1: dsn.blob key
  2: dsn.blob value
  3: optional i32 expire_ts_seconds  // only in pages that asked for it
}

// RPC_RRDB_RRDB_MULTI_PUT: all or nothing, under one hash key.
struct multi_put_request {
  1: dsn.blob hash_key
  2: list<key_value> kvs
  3: i32 expire_ts_seconds  // of all records
}

// RPC_RRDB_RRDB_MULTI_REMOVE
struct multi_remove_request {
  1: dsn.blob hash_key
  2: list<dsn.blob> sort_keys  // at least one
  3: i64 max_count             // history; ignored
}

struct multi_remove_response {
  1: i32 error
  2: i64 count  // sort keys in the request
  3: i32 app_id
  4: i32 partition_index
  5: i64 decree
  6: string server
}

// RPC_RRDB_RRDB_MULTI_GET: given sort keys, or a range of them when none is given.
struct multi_get_request {
  1: dsn.blob hash_key
  2: list<dsn.blob> sort_keys  // empty = range
  3: i32 max_kv_count          // <= 0 = the server's limit
  4: i32 max_kv_size           // bytes; <= 0 = the server's limit
  5: bool no_value
  6: dsn.blob start_sortkey
  7: dsn.blob stop_sortkey     // empty = end of the hash key
  8: bool start_inclusive
  9: bool stop_inclusive       // ignored without stop_sortkey
  10: filter_type sort_key_filter_type
  11: dsn.blob sort_key_filter_pattern
  12: bool reverse             // take from the end of the range
}

struct multi_get_response {
  1: i32 error
  2: list<key_value> kvs  // key = sort key
  3: i32 app_id
  4: i32 partition_index
  6: string server
}

struct full_key {
  1: dsn.blob hash_key
  2: dsn.blob sort_key
}

// RPC_RRDB_RRDB_BATCH_GET: keys of several hash keys in one partition.
struct batch_get_request {
  1: list<full_key> keys
}

struct full_data {
  1: dsn.blob hash_key
  2: dsn.blob sort_key
  3: dsn.blob value
}

// Only the records that exist.
struct batch_get_response {
  1: i32 error
  2: list<full_data> data
  3: i32 app_id
  4: i32 partition_index
  6: string server
}

// RPC_RRDB_RRDB_INCR: add to a number kept as text, atomically.
struct incr_request {
  1: dsn.blob key           // encoded
  2: i64 increment
  3: i32 expire_ts_seconds  // 0 keeps the expiry, > 0 sets it, < 0 clears it
}

struct incr_response {
  1: i32 error
  2: i64 new_value  // the old value if the sum overflows
  3: i32 app_id
  4: i32 partition_index
  5: i64 decree
  6: string server
}

// RPC_RRDB_RRDB_CHECK_AND_SET: write one record if another passes a check.
struct check_and_set_request {
  1: dsn.blob hash_key
  2: dsn.blob check_sort_key  // record to test
  3: cas_check_type check_type
  4: dsn.blob check_operand
  5: bool set_diff_sort_key   // write to set_sort_key, else to check_sort_key
  6: dsn.blob set_sort_key
  7: dsn.blob set_value
  8: i32 set_expire_ts_seconds
  9: bool return_check_value
}

struct check_and_set_response {
  1: i32 error
  2: bool check_value_returned  // as asked for
  3: bool check_value_exist
  4: dsn.blob check_value
  5: i32 app_id
  6: i32 partition_index
  7: i64 decree
  8: string server
}

// One step of check_and_mutate.
struct mutate {
  1: mutate_operation operation
  2: dsn.blob sort_key
  3: dsn.blob value             // MO_PUT
  4: i32 set_expire_ts_seconds  // MO_PUT
}

// RPC_RRDB_RRDB_CHECK_AND_MUTATE: several writes if a record passes a check.
struct check_and_mutate_request {
  1: dsn.blob hash_key
  2: dsn.blob check_sort_key
  3: cas_check_type check_type
  4: dsn.blob check_operand
  5: list<mutate> mutate_list  // in this order
  6: bool return_check_value
}

struct check_and_mutate_response {
  1: i32 error
  2: bool check_value_returned  // as asked for
  3: bool check_value_exist
  4: dsn.blob check_value
  5: i32 app_id
  6: i32 partition_index
  7: i64 decree
  8: string server
}

// RPC_RRDB_RRDB_GET_SCANNER: open a scan of one partition and take its first page.
struct get_scanner_request {
  1: dsn.blob start_key                        // encoded
  2: dsn.blob stop_key                         // encoded
  3: bool start_inclusive
  4: bool stop_inclusive
  5: i32 batch_size                            // records per page
  6: bool no_value
  7: filter_type hash_key_filter_type
  8: dsn.blob hash_key_filter_pattern
  9: filter_type sort_key_filter_type
  10: dsn.blob sort_key_filter_pattern
  11: optional bool validate_partition_hash    // absent = true
  12: optional bool return_expire_ts           // absent = false
  13: optional bool full_scan                  // not limited to the hash key of start_key
  14: optional bool only_return_count = false  // count records, return none
}

// RPC_RRDB_RRDB_SCAN: the next page.
struct scan_request {
  1: i64 context_id  // of the previous page
}

struct scan_response {
  1: i32 error
  2: list<key_value> kvs    // key = encoded key
  3: i64 context_id         // -1 = finished
  4: i32 app_id
  5: i32 partition_index
  6: string server
  7: optional i32 kv_count  // with only_return_count
}
